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

/* Outputs `channel` .. `channel + channels - 1` of one row. */
AOT_INLINE void aot_fully_connected_block(const struct aot_fully_connected *layer, const int8_t *input,
                                          int8_t *output, int32_t channel, int32_t channels) {
  int32_t accumulators[AOT_BLOCK];
  for (int32_t k = 0; k < channels; ++k) {
    accumulators[k] = layer->bias[channel + k];
  }
  aot_dot(accumulators, channels, layer->weights + channel * layer->input_depth, layer->input_depth, input,
          layer->input_depth, layer->input_offset);
  for (int32_t k = 0; k < channels; ++k) {
    output[channel + k] = aot_rescale(&layer->rescale, accumulators[k], channel + k);
  }
}

AOT_INLINE void aot_fully_connected(const struct aot_fully_connected *layer, const int8_t *restrict input,
                                    int8_t *restrict output) {
  for (int32_t row = 0; row < layer->rows; ++row) {
    int32_t channel = 0;
    for (; channel + AOT_BLOCK <= layer->output_depth; channel += AOT_BLOCK) {
      aot_fully_connected_block(layer, input, output, channel, AOT_BLOCK);
    }
    for (; channel < layer->output_depth; ++channel) {
      aot_fully_connected_block(layer, input, output, channel, 1);
    }
    input += layer->input_depth;
    output += layer->output_depth;
  }
}

#endif
