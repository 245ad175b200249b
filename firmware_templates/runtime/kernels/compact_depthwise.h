/* SPDX-License-Identifier: Apache-2.0 */
/* Blocks of compact.h of DEPTHWISE_CONV_2D with one output channel per input channel, and a multiple of 4.
 *
 * The weights of a tap are one word: an int8 for each channel. Sums start from the biases. */
#ifndef AOT_COMPACT_DEPTHWISE_H
#define AOT_COMPACT_DEPTHWISE_H

#include "compact.h"

/* Sums of four channels. */
struct aot_depthwise_sums {
  int32_t a;
  int32_t b;
  int32_t c;
  int32_t d;
};

/* Adds the taps of a row, `step` bytes apart, to the sums. */
AOT_INLINE void aot_depthwise_add(struct aot_depthwise_sums *sums, const uint32_t *words, const int8_t *pixel,
                                  const int8_t *end, int32_t step, uint32_t offset) {
#if AOT_DSP
  uint32_t x, even, w, v;
  __asm__ volatile(
      "1: ldr %[x], [%[pixel]]\n\t"
      "ldr %[w], [%[words]], #4\n\t"
      "add %[pixel], %[pixel], %[step]\n\t"
      "sxtab16 %[even], %[offset], %[x]\n\t"
      "sxtb16 %[v], %[w]\n\t"
      "smlabb %[a], %[even], %[v], %[a]\n\t"
      "smlatt %[c], %[even], %[v], %[c]\n\t"
      "sxtab16 %[x], %[offset], %[x], ror #8\n\t"
      "sxtb16 %[w], %[w], ror #8\n\t"
      "smlabb %[b], %[x], %[w], %[b]\n\t"
      "smlatt %[d], %[x], %[w], %[d]\n\t"
      "cmp %[pixel], %[end]\n\t"
      "bne 1b"
      : [a] "+&r"(sums->a), [b] "+&r"(sums->b), [c] "+&r"(sums->c), [d] "+&r"(sums->d), [x] "=&r"(x),
        [even] "=&r"(even), [w] "=&r"(w), [v] "=&r"(v), [pixel] "+&r"(pixel), [words] "+&r"(words)
      : [end] "r"(end), [step] "r"(step), [offset] "r"(offset)
      : "cc", "memory");
#else
  for (; pixel != end; pixel += step, ++words) {
    const uint32_t four = aot_load4(pixel);
    const uint32_t even = aot_add_even(offset, four), odd = aot_add_odd(offset, four);
    const uint32_t weight_even = aot_widen_even(*words), weight_odd = aot_widen_odd(*words);
    sums->a += aot_low(even) * aot_low(weight_even);
    sums->b += aot_low(odd) * aot_low(weight_odd);
    sums->c += aot_high(even) * aot_high(weight_even);
    sums->d += aot_high(odd) * aot_high(weight_odd);
  }
#endif
}

static AOT_NOINLINE __attribute__((unused)) void aot_compact_depthwise(const struct aot_compact_taps *taps,
                                                                       const uint32_t *block, int32_t count,
                                                                       int8_t *output) {
  struct aot_depthwise_sums sums = {(int32_t)block[0], (int32_t)block[1], (int32_t)block[2], (int32_t)block[3]};
  const uint32_t *words = block + AOT_COMPACT_STARTS + taps->skipped;
  const int8_t *row = taps->pixels;
  for (int32_t rows = taps->rows; rows > 0; --rows) {
    aot_depthwise_add(&sums, words, row, row + taps->row_inputs, taps->tap_bytes, taps->offset);
    row += taps->row_bytes;
    words += taps->row_words;
  }
  const int32_t each[AOT_COMPACT_BLOCK] = {sums.a, sums.b, sums.c, sums.d};
  aot_compact_finish(taps, block, count, output, each);
}

#endif
