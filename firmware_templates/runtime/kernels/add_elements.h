/* SPDX-License-Identifier: Apache-2.0 */
/* ADD of two tensors of one shape: the arithmetic of add.h with its roundings folded into multiplications
 * that keep the upper half of a product. One input has the larger scale, which makes its factor exactly 1/2
 * and its scaling a shift; it is `coarse`, the other `fine`. */
#ifndef AOT_ADD_ELEMENTS_H
#define AOT_ADD_ELEMENTS_H

#include "dsp.h"

struct aot_add_elements {
  int32_t elements;
  int32_t coarse_is_second;
  int32_t fine_offset;     /* minus the zero point * 2^21 */
  int32_t fine_multiplier;
  int32_t fine_shift;      /* to the right */
  int32_t fine_half;       /* 2^(fine_shift - 1), or 0 */
  int32_t coarse_offset;   /* minus the zero point * 2^20 */
  int32_t multiplier;
  int32_t constant; /* half, and the zero point, before the last shift */
  int32_t shift;    /* to the right */
  int32_t keep_ties; /* 0 where negative sums end at the least output, so that their ties do not matter */
  int32_t min;
  int32_t max;
};

AOT_INLINE int32_t aot_add_element(const struct aot_add_elements *layer, int32_t fine, int32_t coarse) {
  const int32_t x = fine * (INT32_C(1) << 21) + layer->fine_offset;
  int32_t scaled = aot_rounded_high_mac(x, layer->fine_multiplier, layer->fine_half);
  if (layer->fine_shift != 0) {
    scaled = (scaled + (x >> 31)) >> layer->fine_shift;
  }
  const int32_t twice = coarse * (INT32_C(1) << 20) + layer->coarse_offset + 2 * scaled;
  const int32_t sum = aot_rounded_high_mac(twice, layer->multiplier, layer->constant);
  const int32_t ties = layer->keep_ties ? twice >> 31 : 0;
  return aot_saturate((sum + ties) >> layer->shift);
}

AOT_INLINE void aot_add_elements(const struct aot_add_elements *layer, const int8_t *first,
                                 const int8_t *second, int8_t *restrict output) {
  const int8_t *const fine = layer->coarse_is_second ? first : second;
  const int8_t *const coarse = layer->coarse_is_second ? second : first;
#pragma GCC unroll 4
  for (int32_t i = 0; i < layer->elements; ++i) {
    output[i] = (int8_t)aot_clamp(aot_add_element(layer, fine[i], coarse[i]), layer->min, layer->max);
  }
}

#endif
