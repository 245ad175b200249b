/* SPDX-License-Identifier: Apache-2.0 */
/* ADD of two tensors of 16-bit activations, with broadcasting: both inputs are brought to twice the larger
 * input scale with 15 bits after the binary point. */
#ifndef AOT_INT16_ADD_H
#define AOT_INT16_ADD_H

#include "int16.h"
#include "pairs.h"

struct aot_int16_factor {
  int32_t multiplier;
  int32_t shift; /* <= 0 */
};

struct aot_int16_add {
  struct aot_pairs pairs;
  struct aot_int16_factor first;
  struct aot_int16_factor second;
  struct aot_int16_factor sum;
  int32_t min;
  int32_t max;
};

AOT_INLINE int32_t aot_int16_scaled(const struct aot_int16_factor *factor, int32_t value) {
  return aot_scale(value * (INT32_C(1) << 15), factor->multiplier, factor->shift);
}

AOT_INLINE void aot_int16_add(const struct aot_int16_add *layer, const void *first, const void *second,
                              void *restrict output) {
  const struct aot_pairs *pairs = &layer->pairs;
  const int32_t rows = aot_pair_rows(pairs);
  aot_int16 *result = (aot_int16 *)output;
  for (int32_t row = 0; row < rows; ++row) {
    const aot_int16 *x = (const aot_int16 *)first + aot_pair_row(pairs, pairs->first_step, row);
    const aot_int16 *y = (const aot_int16 *)second + aot_pair_row(pairs, pairs->second_step, row);
    for (int32_t i = 0; i < pairs->size[3]; ++i) {
      const int32_t sum = aot_int16_scaled(&layer->first, *x) + aot_int16_scaled(&layer->second, *y);
      const int32_t scaled = aot_scale(sum, layer->sum.multiplier, layer->sum.shift);
      *result++ = (int16_t)aot_clamp(scaled, layer->min, layer->max);
      x += pairs->first_step[3];
      y += pairs->second_step[3];
    }
  }
}

#endif
