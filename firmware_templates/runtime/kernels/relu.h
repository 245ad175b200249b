/* SPDX-License-Identifier: Apache-2.0 */
/* RELU and RELU6 as layers of their own. (Fused into another layer they are that layer's clamp.) */
#ifndef AOT_RELU_H
#define AOT_RELU_H

#include "kernel.h"

struct aot_relu {
  int32_t elements;
  int32_t input_offset; /* minus the input's zero point */
  int32_t multiplier;
  int32_t shift; /* -31 .. 30, negative shifts right */
  int32_t zero_point;
  int32_t min;
  int32_t max;
};

AOT_INLINE void aot_relu(const struct aot_relu *layer, const int8_t *restrict input,
                         int8_t *restrict output) {
  for (int32_t i = 0; i < layer->elements; ++i) {
    const int32_t scaled = aot_scale(input[i] + layer->input_offset, layer->multiplier, layer->shift);
    output[i] = (int8_t)aot_clamp(scaled + layer->zero_point, layer->min, layer->max);
  }
}

/* RELU6 of the oracle keeps the input's quantisation: it only clamps the stored values. */
struct aot_relu6 {
  int32_t elements;
  int32_t min;
  int32_t max;
};

AOT_INLINE void aot_relu6(const struct aot_relu6 *layer, const int8_t *restrict input,
                          int8_t *restrict output) {
  for (int32_t i = 0; i < layer->elements; ++i) {
    output[i] = (int8_t)aot_clamp(input[i], layer->min, layer->max);
  }
}

#endif
