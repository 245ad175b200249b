/* SPDX-License-Identifier: Apache-2.0 */
/* MUL of two tensors, with broadcasting. */
#ifndef AOT_MUL_H
#define AOT_MUL_H

#include "pairs.h"

struct aot_mul {
  struct aot_pairs pairs;
  int32_t first_offset; /* minus the zero point */
  int32_t second_offset;
  int32_t multiplier;
  int32_t shift; /* -31 .. 30, negative shifts right */
  int32_t zero_point;
  int32_t min;
  int32_t max;
};

AOT_INLINE void aot_mul(const struct aot_mul *layer, const int8_t *first, const int8_t *second,
                        int8_t *restrict output) {
  const struct aot_pairs *pairs = &layer->pairs;
  for (int32_t row = 0; row < aot_pair_rows(pairs); ++row) {
    const int8_t *x = first + aot_pair_row(pairs, pairs->first_step, row);
    const int8_t *y = second + aot_pair_row(pairs, pairs->second_step, row);
    for (int32_t l = 0; l < pairs->size[3]; ++l) {
      const int32_t product = (*x + layer->first_offset) * (*y + layer->second_offset);
      const int32_t scaled = aot_scale(product, layer->multiplier, layer->shift);
      *output++ = (int8_t)aot_clamp(scaled + layer->zero_point, layer->min, layer->max);
      x += pairs->first_step[3];
      y += pairs->second_step[3];
    }
  }
}

#endif
