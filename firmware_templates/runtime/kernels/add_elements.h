/* SPDX-License-Identifier: Apache-2.0 */
/* ADD and SUB of two tensors of one shape: the arithmetic of add.h with its roundings folded into multiplications
 * that keep the upper half of a product. One input has the larger scale, which makes its factor exactly 1/2
 * and its scaling a shift; it is `coarse`, the other `fine`. */
#ifndef AOT_ADD_ELEMENTS_H
#define AOT_ADD_ELEMENTS_H

#include "dsp.h"

struct aot_add_elements {
  int32_t elements;
  int32_t coarse_is_second;
  int32_t fine_sign;       /* 1, or -1 for the input that is subtracted */
  int32_t coarse_sign;
  int32_t fine_offset;     /* minus the zero point * 2^21 */
  int32_t fine_multiplier;
  int32_t fine_shift;      /* to the right */
  int32_t fine_half;       /* 2^(fine_shift - 1), or 0 */
  int32_t fine_ties;       /* 1 if it can be negative and is shifted, so that ties must go away from zero */
  int32_t coarse_offset;   /* minus the zero point * coarse_sign * 2^20 */
  int32_t multiplier;
  int32_t constant; /* half, and the zero point, before the last shift */
  int32_t shift;    /* to the right */
  int32_t ties;     /* 0 where negative sums end at the least output, so that their ties do not matter */
  int32_t min;
  int32_t max;
};

/* Both inputs as parts of twice their sum. A constant that the compiler cannot see stays in its register, from
 * where one instruction shifts the input and adds it. */
struct aot_add_offsets {
  int32_t fine;
  int32_t coarse;
};

AOT_INLINE int32_t aot_add_element(const struct aot_add_elements *layer, const struct aot_add_offsets *offsets,
                                   int32_t fine, int32_t coarse) {
  const int32_t x = fine * (INT32_C(1) << 21) + offsets->fine;
  int32_t scaled = aot_rounded_high_mac(x, layer->fine_multiplier, layer->fine_half);
  if (layer->fine_ties) {
    scaled += x >> 31;
  }
  const int32_t twice =
      coarse * (layer->coarse_sign * (INT32_C(1) << 20)) + offsets->coarse +
      (scaled >> layer->fine_shift) * (2 * layer->fine_sign);
  int32_t sum = aot_rounded_high_mac(twice, layer->multiplier, layer->constant);
  if (layer->ties) {
    sum += twice >> 31;
  }
  const int32_t value = aot_saturate_shifted(sum, layer->shift);
  return layer->min > INT8_MIN || layer->max < INT8_MAX ? aot_clamp(value, layer->min, layer->max) : value;
}

AOT_INLINE void aot_add_elements(const struct aot_add_elements *layer, const int8_t *first,
                                 const int8_t *second, int8_t *restrict output) {
  const int8_t *const fine = layer->coarse_is_second ? first : second;
  const int8_t *const coarse = layer->coarse_is_second ? second : first;
  struct aot_add_offsets offsets = {layer->fine_offset, layer->coarse_offset};
  __asm__("" : "+r"(offsets.fine), "+r"(offsets.coarse));
  AOT_UNROLL(4)
  for (int32_t i = 0; i < layer->elements; ++i) {
    output[i] = (int8_t)aot_add_element(layer, &offsets, fine[i], coarse[i]);
  }
}

#endif
