/* SPDX-License-Identifier: Apache-2.0 */
/* PRELU: inputs below zero are multiplied by a tensor alpha, with broadcasting. */
#ifndef AOT_PRELU_H
#define AOT_PRELU_H

#include "pairs.h"

/* From input, or from input times alpha, to the output; shift as in struct aot_rescale. */
struct aot_prelu_slope {
  int32_t multiplier;
  int32_t shift;
};

struct aot_prelu {
  struct aot_pairs pairs; /* of input and alpha */
  int32_t input_offset;   /* minus the zero point */
  int32_t alpha_offset;
  struct aot_prelu_slope above;
  struct aot_prelu_slope below;
  int32_t zero_point;
};

AOT_INLINE void aot_prelu(const struct aot_prelu *layer, const int8_t *input, const int8_t *alpha,
                          int8_t *restrict output) {
  const struct aot_pairs *pairs = &layer->pairs;
  for (int32_t row = 0; row < aot_pair_rows(pairs); ++row) {
    const int8_t *x = input + aot_pair_row(pairs, pairs->first_step, row);
    const int8_t *y = alpha + aot_pair_row(pairs, pairs->second_step, row);
    for (int32_t l = 0; l < pairs->size[3]; ++l) {
      const int32_t value = *x + layer->input_offset;
      const int32_t scaled =
          value >= 0
              ? aot_scale(value, layer->above.multiplier, layer->above.shift)
              : aot_scale(value * (*y + layer->alpha_offset), layer->below.multiplier, layer->below.shift);
      *output++ = (int8_t)aot_clamp(scaled + layer->zero_point, INT8_MIN, INT8_MAX);
      x += pairs->first_step[3];
      y += pairs->second_step[3];
    }
  }
}

#endif
