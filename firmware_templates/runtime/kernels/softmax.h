/* SPDX-License-Identifier: Apache-2.0 */
/* SOFTMAX over the last dimension, in fixed point. Output scale 1/256, zero point -128.
 *
 * Qm.n below means m integer and n fraction bits beside the sign. exp() is evaluated as gemmlowp does: the
 * fraction of a quarter by a polynomial, each higher bit by one multiplication. */
#ifndef AOT_SOFTMAX_H
#define AOT_SOFTMAX_H

#include "kernel.h"

struct aot_softmax {
  int32_t rows;
  int32_t depth; /* at most 511: with more, equal inputs would shift by more than 31 bits below */
  int32_t multiplier; /* input difference -> Q5.26 together with left_shift */
  int32_t left_shift;
  int32_t least_difference; /* differences to the maximum below this one count as exp() = 0 */
};

/* exp(x) in Q0.31 for x in Q0.31, -1/4 <= x < 0: Taylor series around -1/8. */
AOT_INLINE int32_t aot_exp_of_quarter(int32_t x) {
  const int32_t exp_of_minus_eighth = 1895147668;
  const int32_t one_third = 715827883;
  const int32_t d = x + (INT32_C(1) << 28); /* x + 1/8 */
  const int32_t d2 = aot_doubling_high_mul(d, d);
  const int32_t d3 = aot_doubling_high_mul(d2, d);
  const int32_t d4 = aot_doubling_high_mul(d2, d2);
  const int32_t d4_over_4 = aot_rounding_shift_right(d4, 2);
  const int32_t tail = aot_rounding_shift_right(aot_doubling_high_mul(d4_over_4 + d3, one_third) + d2, 1);
  return exp_of_minus_eighth + aot_doubling_high_mul(exp_of_minus_eighth, d + tail);
}

/* exp(x) in Q0.31 for x <= 0 in Q5.26. */
AOT_INLINE int32_t aot_exp_of_negative(int32_t x) {
  /* exp(-1/4), exp(-1/2), exp(-1), exp(-2), exp(-4), exp(-8), exp(-16) */
  static const int32_t factors[7] = {1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242};
  const int32_t quarter = INT32_C(1) << 24;
  const int32_t remainder = (x & (quarter - 1)) - quarter; /* -1/4 <= remainder < 0 */
  const int32_t quarters = remainder - x;
  int32_t result = aot_exp_of_quarter(aot_shift_left(remainder, 5));
  for (int32_t bit = 0; bit < 7; ++bit) {
    if (quarters & (quarter << bit)) {
      result = aot_doubling_high_mul(result, factors[bit]);
    }
  }
  return x == 0 ? INT32_MAX : result;
}

/* 1 / (1 + x) in Q0.31 for x in Q0.31, 0 <= x < 1: three Newton steps on the half denominator. */
AOT_INLINE int32_t aot_reciprocal_of_one_plus(int32_t x) {
  const int32_t q29_one = INT32_C(1) << 29;
  const int32_t half_denominator = (int32_t)(((int64_t)x + INT32_MAX + 1) / 2);
  /* 48/17 - 32/17 * half_denominator in Q2.29 */
  int32_t estimate = 1515870810 + aot_doubling_high_mul(half_denominator, -1010580540);
  for (int32_t step = 0; step < 3; ++step) {
    const int32_t error = q29_one - aot_doubling_high_mul(half_denominator, estimate);
    estimate += aot_saturating_shift_left(aot_doubling_high_mul(estimate, error), 2);
  }
  return aot_saturating_shift_left(estimate, 1);
}

static AOT_NOINLINE int32_t aot_softmax_exp(const struct aot_softmax *layer, int32_t difference) {
  const int32_t scaled =
      aot_doubling_high_mul(aot_shift_left(difference, layer->left_shift), layer->multiplier);
  return aot_exp_of_negative(scaled);
}

AOT_INLINE void aot_softmax_row(const struct aot_softmax *layer, const int8_t *restrict input,
                                int8_t *restrict output) {
  int32_t max = INT8_MIN;
  for (int32_t i = 0; i < layer->depth; ++i) {
    max = aot_max(max, input[i]);
  }
  int32_t sum = 0; /* Q12.19; at least 1, because the maximum is among the terms */
  for (int32_t i = 0; i < layer->depth; ++i) {
    if (input[i] - max >= layer->least_difference) {
      sum += aot_rounding_shift_right(aot_softmax_exp(layer, input[i] - max), 12);
    }
  }
  /* sum = 2^bits_over_one * (1 + x) with 0 <= x < 1 */
  const int32_t leading_zeros = __builtin_clz((uint32_t)sum);
  const int32_t bits_over_one = 12 - leading_zeros;
  const int32_t x = (int32_t)(((uint32_t)sum << leading_zeros) - (UINT32_C(1) << 31));
  const int32_t scale = aot_reciprocal_of_one_plus(x);
  for (int32_t i = 0; i < layer->depth; ++i) {
    int32_t value = 0; /* in 1/256 */
    if (input[i] - max >= layer->least_difference) {
      const int32_t share = aot_doubling_high_mul(scale, aot_softmax_exp(layer, input[i] - max));
      value = aot_rounding_shift_right(share, bits_over_one + 23);
    }
    output[i] = (int8_t)aot_clamp(value + INT8_MIN, INT8_MIN, INT8_MAX);
  }
}

AOT_INLINE void aot_softmax(const struct aot_softmax *layer, const int8_t *restrict input,
                            int8_t *restrict output) {
  for (int32_t row = 0; row < layer->rows; ++row) {
    aot_softmax_row(layer, input, output);
    input += layer->depth;
    output += layer->depth;
  }
}

#endif
