/* SPDX-License-Identifier: Apache-2.0 */
/* Blocks of compact.h of DEPTHWISE_CONV_2D with one output channel per input channel, and a multiple of 4.
 *
 * The weights of a tap are one word: an int8 for each channel. Sums start from the biases. */
#ifndef AOT_COMPACT_DEPTHWISE_H
#define AOT_COMPACT_DEPTHWISE_H

#include "compact.h"

static AOT_NOINLINE __attribute__((unused)) void aot_compact_depthwise(const struct aot_compact_taps *taps,
                                                                       const uint32_t *block, int32_t count,
                                                                       int8_t *output) {
  const uint32_t offset = taps->offset;
  const uint32_t *words = block + AOT_COMPACT_STARTS + taps->skipped;
  const int8_t *row = taps->pixels;
  int32_t a = (int32_t)block[0], b = (int32_t)block[1], c = (int32_t)block[2], d = (int32_t)block[3];
  for (int32_t rows = taps->rows; rows > 0; --rows) {
    const uint32_t *weights = words;
    for (int32_t at = 0; at < taps->row_inputs; at += taps->tap_bytes) {
      const uint32_t four = aot_load4(row + at), weight = *weights++;
      const uint32_t even = aot_add_even(offset, four), weight_even = aot_widen_even(weight);
      const uint32_t odd = aot_add_odd(offset, four), weight_odd = aot_widen_odd(weight);
      a += aot_low(even) * aot_low(weight_even);
      b += aot_low(odd) * aot_low(weight_odd);
      c += aot_high(even) * aot_high(weight_even);
      d += aot_high(odd) * aot_high(weight_odd);
    }
    row += taps->row_bytes;
    words += taps->row_words;
  }
  const int32_t sums[AOT_COMPACT_BLOCK] = {a, b, c, d};
  aot_compact_finish(taps, block, count, output, sums);
}

#endif
