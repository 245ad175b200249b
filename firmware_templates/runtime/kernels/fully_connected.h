/* SPDX-License-Identifier: Apache-2.0 */
/* FULLY_CONNECTED: every row of the input times the weight matrix. */
#ifndef AOT_FULLY_CONNECTED_H
#define AOT_FULLY_CONNECTED_H

#include "kernel.h"

struct aot_fully_connected {
  int32_t rows;
  int32_t input_depth;
  int32_t output_depth;
  int32_t input_offset;  /* minus the input's zero point; 0 where the generator has put it into the bias */
  const int8_t *weights; /* [output depth][input depth] */
  const int32_t *bias;   /* [output depth] */
  struct aot_rescale rescale;
};

AOT_INLINE void aot_fully_connected(const struct aot_fully_connected *layer, const int8_t *restrict input,
                                    int8_t *restrict output) {
  for (int32_t row = 0; row < layer->rows; ++row) {
    const int8_t *weights = layer->weights;
    for (int32_t channel = 0; channel < layer->output_depth; ++channel) {
      const int32_t accumulator =
          aot_dot(layer->bias[channel], weights, input, layer->input_depth, layer->input_offset);
      *output++ = aot_rescale(&layer->rescale, accumulator, channel);
      weights += layer->input_depth;
    }
    input += layer->input_depth;
  }
}

#endif
