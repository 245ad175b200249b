/* SPDX-License-Identifier: Apache-2.0 */
/* L2_NORMALIZATION: each row of the last dimension divided by its length.
 * The reciprocal square root is found by five Newton steps in fixed point, as the specification does. */
#ifndef AOT_L2_NORMALIZATION_H
#define AOT_L2_NORMALIZATION_H

#include "kernel.h"

struct aot_l2_normalization {
  int32_t rows;
  int32_t depth;        /* so few that the sum of squares stays within int32_t */
  int32_t input_offset; /* minus the input's zero point */
};

/* The output's scale is 2^-7. */
#define AOT_L2_FRACTION_BITS 7

/* sqrt(1/2) with 31 bits after the binary point. */
#define AOT_SQRT_HALF INT32_C(1518500250)

/* 1 / sqrt(x) with 28 bits after the binary point, as x has; 1/4 <= x < 1. Each product of two numbers with
 * 3 bits before the point has 6 there, and of three 9. */
AOT_INLINE int32_t aot_inverse_sqrt(int32_t x) {
  const int32_t half = aot_rounding_shift_right(x, 1);
  const int32_t three_halves = (INT32_C(1) << 28) + (INT32_C(1) << 27);
  int32_t y = INT32_C(1) << 28;
  for (int32_t step = 0; step < 5; ++step) {
    const int32_t cube = aot_doubling_high_mul(aot_doubling_high_mul(y, y), y);
    const int32_t corrected = aot_doubling_high_mul(three_halves, y) -
                              aot_doubling_high_mul(half, aot_saturating_shift_left(cube, 6));
    y = aot_saturating_shift_left(corrected, 3);
  }
  return y;
}

/* The factor multiplier * 2^(shift - 31). */
struct aot_factor {
  int32_t multiplier;
  int32_t shift;
};

/* 1 / sqrt(sum); 1 if the sum is 0. */
AOT_INLINE struct aot_factor aot_inverse_length(int32_t sum) {
  struct aot_factor factor = {INT32_MAX, 0};
  if (sum <= 1) {
    return factor;
  }
  /* A power of 4 brings the sum to 2^27 .. 2^29 - 1. */
  int32_t right = 11;
  while (sum >= (INT32_C(1) << 29)) {
    sum /= 4;
    ++right;
  }
  while (sum < (INT32_C(1) << 27)) {
    sum *= 4;
    --right;
  }
  factor.multiplier = aot_doubling_high_mul(aot_inverse_sqrt(sum >> 1), AOT_SQRT_HALF);
  if (right < 0) {
    factor.multiplier = aot_shift_left(factor.multiplier, -right);
    right = 0;
  }
  factor.shift = -right;
  return factor;
}

AOT_INLINE void aot_l2_normalization(const struct aot_l2_normalization *layer, const int8_t *restrict input,
                                     int8_t *restrict output) {
  for (int32_t row = 0; row < layer->rows; ++row) {
    int32_t sum = 0;
    for (int32_t i = 0; i < layer->depth; ++i) {
      const int32_t x = input[i] + layer->input_offset;
      sum += x * x;
    }
    const struct aot_factor factor = aot_inverse_length(sum);
    for (int32_t i = 0; i < layer->depth; ++i) {
      const int32_t x = input[i] + layer->input_offset;
      const int32_t scaled = aot_scale(x, factor.multiplier, factor.shift + AOT_L2_FRACTION_BITS);
      output[i] = (int8_t)aot_clamp(scaled, INT8_MIN, INT8_MAX);
    }
    input += layer->depth;
    output += layer->depth;
  }
}

#endif
