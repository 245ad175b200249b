/* SPDX-License-Identifier: Apache-2.0 */
/* Blocks of compact.h of CONV_2D and FULLY_CONNECTED.
 *
 * The weights of channels a, b, c, d are two words for each two inputs, as in matmul.h:
 *   weight a + 256 * weight b, weight c + 256 * weight d
 * and their sums start from bias a, bias a + 256 * bias b, bias c, bias c + 256 * bias d. */
#ifndef AOT_COMPACT_PRODUCTS_H
#define AOT_COMPACT_PRODUCTS_H

#include "compact.h"

/* Sums of channels a, a + 256 b, c and c + 256 d. */
struct aot_compact_sums {
  uint32_t a;
  uint32_t ab;
  uint32_t c;
  uint32_t cd;
};

#if AOT_DSP
/* Two inputs of four channels. */
#define AOT_COMPACT_STEP(x)                      \
  "ldrd %[w], %[v], [%[words]], #8\n\t"          \
  "smlad %[ab], %[w], " x ", %[ab]\n\t"          \
  "smlad %[cd], %[v], " x ", %[cd]\n\t"          \
  "sxtb16 %[w], %[w]\n\t"                        \
  "sxtb16 %[v], %[v]\n\t"                        \
  "smlad %[a], %[w], " x ", %[a]\n\t"            \
  "smlad %[c], %[v], " x ", %[c]\n\t"
#endif

/* Adds the inputs from `pixel` to `end` to the sums, four at a time: 16 products in 19 instructions. */
AOT_INLINE void aot_compact_add(struct aot_compact_sums *sums, const uint32_t *words, const int8_t *pixel,
                                const int8_t *end, uint32_t offset) {
#if AOT_DSP
  uint32_t x, even, w, v;
  __asm__ volatile(
      "1: ldr %[x], [%[pixel]], #4\n\t"
      "sxtab16 %[even], %[offset], %[x]\n\t"
      "sxtab16 %[x], %[offset], %[x], ror #8\n\t"
      AOT_COMPACT_STEP("%[even]")
      AOT_COMPACT_STEP("%[x]")
      "cmp %[pixel], %[end]\n\t"
      "bne 1b"
      : [a] "+&r"(sums->a), [ab] "+&r"(sums->ab), [c] "+&r"(sums->c), [cd] "+&r"(sums->cd), [x] "=&r"(x),
        [even] "=&r"(even), [w] "=&r"(w), [v] "=&r"(v), [pixel] "+&r"(pixel), [words] "+&r"(words)
      : [end] "r"(end), [offset] "r"(offset)
      : "cc", "memory");
#else
  for (; pixel != end; pixel += 4, words += 4) {
    const uint32_t x = aot_load4(pixel);
    const uint32_t even = aot_add_even(offset, x), odd = aot_add_odd(offset, x);
    sums->ab = aot_dual_mac(words[2], odd, aot_dual_mac(words[0], even, sums->ab));
    sums->cd = aot_dual_mac(words[3], odd, aot_dual_mac(words[1], even, sums->cd));
    sums->a =
        aot_dual_mac(aot_widen_even(words[2]), odd, aot_dual_mac(aot_widen_even(words[0]), even, sums->a));
    sums->c =
        aot_dual_mac(aot_widen_even(words[3]), odd, aot_dual_mac(aot_widen_even(words[1]), even, sums->c));
  }
#endif
}

static AOT_NOINLINE __attribute__((unused)) void aot_compact_products(const struct aot_compact_taps *taps,
                                                                      const uint32_t *block, int32_t count,
                                                                      int8_t *output) {
  struct aot_compact_sums sums = {block[0], block[1], block[2], block[3]};
  const uint32_t *words = block + AOT_COMPACT_STARTS + taps->skipped;
  const int8_t *row = taps->pixels;
  for (int32_t rows = taps->rows; rows > 0; --rows) {
    aot_compact_add(&sums, words, row, row + taps->row_inputs, taps->offset);
    row += taps->row_bytes;
    words += taps->row_words;
  }
  const int32_t each[AOT_COMPACT_BLOCK] = {
      (int32_t)sums.a,
      (int32_t)(sums.ab - sums.a) >> 8,
      (int32_t)sums.c,
      (int32_t)(sums.cd - sums.c) >> 8,
  };
  aot_compact_finish(taps, block, count, output, each);
}

#endif
