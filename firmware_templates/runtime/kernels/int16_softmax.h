/* SPDX-License-Identifier: Apache-2.0 */
/* SOFTMAX of 16-bit activations over the last dimension. exp() and 1 / (1 + x) are tables of 513 values over
 * the range of int16_t, interpolated between their values. Output scale 1/32768. */
#ifndef AOT_INT16_SOFTMAX_H
#define AOT_INT16_SOFTMAX_H

#include "int16.h"

struct aot_int16_softmax {
  int32_t rows;
  int32_t depth;
  int32_t multiplier; /* from a difference to 65535 steps of -10 .. 0 */
  int32_t shift;
  const int16_t *exponential; /* of -10 .. 0, in Q0.15 */
  const int16_t *reciprocal;  /* 1 / (1 + x) of x in 0 .. 1, in Q0.15 */
};

AOT_INLINE int32_t aot_int16_interpolated(const int16_t *table, int32_t value) {
  const int32_t index = 256 + (value >> 7);
  const int32_t base = table[index];
  /* Both tables rise or fall by less than 2^15 from one value to the next. */
  return (int16_t)(base + (((table[index + 1] - base) * (value & 0x7f) + 64) >> 7));
}

/* One row. exp() of the differences from the greatest input stays in the output until all are added up. */
AOT_INLINE void aot_int16_softmax_row(const struct aot_int16_softmax *layer, const aot_int16 *input,
                                      aot_int16 *output) {
  int32_t greatest = INT16_MIN;
  for (int32_t i = 0; i < layer->depth; ++i) {
    greatest = aot_max(greatest, input[i]);
  }
  int32_t sum = 0;
  for (int32_t i = 0; i < layer->depth; ++i) {
    const int32_t scaled = aot_scale(input[i] - greatest, layer->multiplier, layer->shift);
    const int32_t place = aot_clamp(scaled + INT16_MAX, INT16_MIN, INT16_MAX);
    output[i] = (int16_t)aot_int16_interpolated(layer->exponential, place);
    sum += output[i];
  }
  /* The sum as 1 + x, with x in 0 .. 1, times a power of 2; it is at least exp(0), so that bits <= 16. */
  int32_t bits = 0;
  while (bits < 30 && sum < (INT32_C(1) << (30 - bits))) {
    ++bits;
  }
  const int32_t normalised = (int32_t)((((int64_t)sum << bits) + (1 << 13)) >> 14);
  const int32_t place = aot_clamp(normalised - (1 << 15) - (1 << 16), INT16_MIN, INT16_MAX);
  const int32_t reciprocal = aot_int16_interpolated(layer->reciprocal, place);
  const int32_t shift = 30 - bits;
  for (int32_t i = 0; i < layer->depth; ++i) {
    const int64_t scaled = ((int64_t)output[i] * reciprocal + (INT64_C(1) << (shift - 1))) >> shift;
    output[i] = (int16_t)aot_clamp((int32_t)scaled, 0, INT16_MAX);
  }
}

AOT_INLINE void aot_int16_softmax(const struct aot_int16_softmax *layer, const void *restrict input,
                                  void *restrict output) {
  const aot_int16 *row = (const aot_int16 *)input;
  aot_int16 *result = (aot_int16 *)output;
  for (int32_t i = 0; i < layer->rows; ++i) {
    aot_int16_softmax_row(layer, row, result);
    row += layer->depth;
    result += layer->depth;
  }
}

#endif
