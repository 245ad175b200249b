/* SPDX-License-Identifier: Apache-2.0 */
/* The products of conv_2d_winograd.h: on a core with DSP instructions in assembly, and in portable C with equal
 * bytes.
 *
 * A line holds the inputs of one of the 16 products: for every four channels two words of each tile. On a core
 * with DSP instructions, four zeros and an address come before them: the sums that the line starts with, and the
 * code that it is for. So one instruction that loads multiple registers begins a line and goes there, and the
 * words after the last line lead out. */
#ifndef AOT_CONV_2D_WINOGRAD_DSP_H
#define AOT_CONV_2D_WINOGRAD_DSP_H

#include "dsp.h"

#if AOT_DSP
#define AOT_WINOGRAD_CONTROL 5
#else
#define AOT_WINOGRAD_CONTROL 0
#endif

/* Where a layer stands; the assembly reads the first three members. */
struct aot_winograd_job {
  const uint32_t *stream;
  const aot_word *products;
  int32_t (*outputs)(const uint32_t *products, const uint32_t *parameters, struct aot_winograd_job *job);
  const uint32_t *stream_end;
  int8_t *output; /* the upper left one of the first channel that comes next */
  int32_t end_shift;
  int32_t depth; /* input channels */
  int32_t pixel; /* bytes from an output to the one to its right */
  int32_t row;   /* and to the one below */
};

AOT_INLINE int32_t aot_saturate(int32_t x) {
#if AOT_DSP
  int32_t result;
  __asm__("ssat %0, #8, %1" : "=r"(result) : "r"(x));
  return result;
#else
  return aot_clamp(x, INT8_MIN, INT8_MAX);
#endif
}

#if AOT_DSP
/* Four inputs of two channels of two tiles: 16 products in 10 instructions of 4 bytes each. Sums of channel a
 * in r9 and r10, of channel b in r11 and r12. */
#define AOT_WINOGRAD_STEP_BYTES 40u
#define AOT_WINOGRAD_STEP               \
  "ldm.w r0!, {r2-r5}\n\t"              \
  "ldm.w r1!, {r6, r7, r8, lr}\n\t"     \
  "smlad r9, r2, r6, r9\n\t"            \
  "smlad r10, r2, r8, r10\n\t"          \
  "smlad r11, r4, r6, r11\n\t"          \
  "smlad r12, r4, r8, r12\n\t"          \
  "smlad r9, r3, r7, r9\n\t"            \
  "smlad r10, r3, lr, r10\n\t"          \
  "smlad r11, r5, r7, r11\n\t"          \
  "smlad r12, r5, lr, r12\n\t"

#ifndef AOT_WINOGRAD_STEPS
#define AOT_WINOGRAD_STEPS 16
#endif

#define AOT_WINOGRAD_BEGIN              \
  "ldrd r0, r1, [r0]\n\t"               \
  "ldm r1!, {r9-r12, pc}\n\t"

AOT_NAKED void aot_winograd_begin(void) {
  __asm__ volatile("push {r0, r4-r11, lr}\n\t" AOT_WINOGRAD_BEGIN);
}

/* A line enters so far before the end that its last step is the last. */
AOT_NAKED void aot_winograd_steps(void) {
  __asm__ volatile(".rept " AOT_TEXT(AOT_WINOGRAD_STEPS) "\n\t" AOT_WINOGRAD_STEP ".endr\n\t"
                   "push {r9-r12}\n\t"
                   "ldm r1!, {r9-r12, pc}\n\t");
}

/* The products of 16 lines are on the stack. */
AOT_NAKED void aot_winograd_end(void) {
  __asm__ volatile(
      "mov r1, r0\n\t"
      "mov r0, sp\n\t"
      "ldr r2, [sp, #256]\n\t"
      "ldr r3, [r2, #8]\n\t"
      "blx r3\n\t"
      "add sp, sp, #256\n\t"
      "cmp r0, #0\n\t"
      "beq 1f\n\t"
      "ldr r0, [sp]\n\t" AOT_WINOGRAD_BEGIN
      "1: pop {r0, r4-r11, pc}\n\t");
}

/* What controls the lines, `line` words each. */
AOT_INLINE void aot_winograd_prepare(const struct aot_winograd_job *job, int32_t line) {
  aot_word *word = (aot_word *)(uintptr_t)job->products;
  const uint32_t skipped = (uint32_t)(AOT_WINOGRAD_STEPS - job->depth / 4) * AOT_WINOGRAD_STEP_BYTES;
  for (int32_t i = 0; i < 17; ++i) {
    word[0] = word[1] = word[2] = word[3] = 0;
    word[4] = i < 16 ? (uint32_t)(uintptr_t)aot_winograd_steps + skipped : (uint32_t)(uintptr_t)aot_winograd_end;
    word += line;
  }
}

AOT_INLINE void aot_winograd_run(struct aot_winograd_job *job) { aot_call(aot_winograd_begin, job); }

/* Four bytes of a row, widened into two registers. */
#define AOT_WINOGRAD_FOUR(row, even, odd)                       \
  "ldr " even ", [%[" row "]], #4\n\t"                          \
  "sxtb16 " odd ", " even ", ror #8\n\t"                        \
  "sxtb16 " even ", " even "\n\t"

/* B' d for one column of four rows: 8 words for every four of `channels`, `step` words apart. */
AOT_INLINE void aot_winograd_column(const int8_t *const rows[4], int32_t channels, int32_t step,
                                    aot_word *column) {
  const int8_t *a = rows[0], *b = rows[1], *c = rows[2], *d = rows[3];
  const int32_t step_bytes = 4 * step;
  __asm__ volatile(
      "1:\n\t" AOT_WINOGRAD_FOUR("b", "r8", "r9") AOT_WINOGRAD_FOUR("c", "r10", "r11")
      "sadd16 r5, r8, r10\n\t"
      "sadd16 r6, r9, r11\n\t"
      "strd r5, r6, [%[column], #8]\n\t"
      "ssub16 r5, r10, r8\n\t"
      "ssub16 r6, r11, r9\n\t"
      "strd r5, r6, [%[column], #16]\n\t"
      AOT_WINOGRAD_FOUR("a", "r5", "r6")
      "ssub16 r10, r5, r10\n\t"
      "ssub16 r11, r6, r11\n\t"
      "strd r10, r11, [%[column]]\n\t" AOT_WINOGRAD_FOUR("d", "r10", "r11")
      "ssub16 r10, r8, r10\n\t"
      "ssub16 r11, r9, r11\n\t"
      "strd r10, r11, [%[column], #24]\n\t"
      "ldr r5, %[step]\n\t"
      "subs %[channels], %[channels], #4\n\t"
      "add %[column], %[column], r5\n\t"
      "bne 1b"
      : [a] "+r"(a), [b] "+r"(b), [c] "+r"(c), [d] "+r"(d), [column] "+r"(column), [channels] "+r"(channels)
      : [step] "m"(step_bytes)
      : "r5", "r6", "r8", "r9", "r10", "r11", "cc", "memory");
}

/* B for one row of B' d: its four columns, 32 bytes apart, become four words pairs in as many lines. */
#define AOT_WINOGRAD_ROW(i)                                     \
  "ldrd r3, r4, [%[columns], #" #i "]\n\t"                      \
  "ldrd r5, r6, [%[columns], #32 + " #i "]\n\t"                 \
  "ldrd r8, r9, [%[columns], #64 + " #i "]\n\t"                 \
  "ldrd r10, r11, [%[columns], #96 + " #i "]\n\t"               \
  "ssub16 r3, r3, r8\n\t"                                       \
  "ssub16 r4, r4, r9\n\t"                                       \
  "strd r3, r4, [%[lines]]\n\t"                                 \
  "add %[lines], %[lines], %[step]\n\t"                         \
  "sadd16 r3, r5, r8\n\t"                                       \
  "sadd16 r4, r6, r9\n\t"                                       \
  "strd r3, r4, [%[lines]]\n\t"                                 \
  "add %[lines], %[lines], %[step]\n\t"                         \
  "ssub16 r8, r8, r5\n\t"                                       \
  "ssub16 r9, r9, r6\n\t"                                       \
  "strd r8, r9, [%[lines]]\n\t"                                 \
  "add %[lines], %[lines], %[step]\n\t"                         \
  "ssub16 r5, r5, r10\n\t"                                      \
  "ssub16 r6, r6, r11\n\t"                                      \
  "strd r5, r6, [%[lines]]\n\t"                                 \
  "add %[lines], %[lines], %[step]\n\t"

/* Four channels of one tile, from four columns of 8 words each into 16 lines of `line` words. */
AOT_INLINE void aot_winograd_lines(aot_word *lines, int32_t line, const aot_word *columns) {
  __asm__ volatile(AOT_WINOGRAD_ROW(0) AOT_WINOGRAD_ROW(8) AOT_WINOGRAD_ROW(16) AOT_WINOGRAD_ROW(24)
                   : [lines] "+r"(lines)
                   : [columns] "r"(columns), [step] "r"(4 * line)
                   : "r3", "r4", "r5", "r6", "r8", "r9", "r10", "r11", "memory");
}
#else
AOT_INLINE void aot_winograd_prepare(const struct aot_winograd_job *job, int32_t line) {
  (void)job;
  (void)line;
}

AOT_INLINE uint32_t aot_add_halves(uint32_t a, uint32_t b) {
  return aot_pack(aot_low(a) + aot_low(b), aot_high(a) + aot_high(b));
}

AOT_INLINE uint32_t aot_sub_halves(uint32_t a, uint32_t b) {
  return aot_pack(aot_low(a) - aot_low(b), aot_high(a) - aot_high(b));
}

/* One channel of one tile: the dot product of weights and inputs, both 2 of every 4 words. */
AOT_INLINE uint32_t aot_winograd_dot(const uint32_t *weights, const aot_word *inputs, int32_t depth) {
  uint32_t sum = 0;
  for (int32_t i = 0; i < depth; i += 4) {
    sum = aot_dual_mac(weights[i], inputs[i], sum);
    sum = aot_dual_mac(weights[i + 1], inputs[i + 1], sum);
  }
  return sum;
}

AOT_INLINE void aot_winograd_run(struct aot_winograd_job *job) {
  int32_t more = 1;
  while (more) {
    uint32_t products[64];
    const uint32_t *weights = job->stream;
    const aot_word *inputs = job->products;
    for (int32_t i = 60; i >= 0; i -= 4) {
      for (int32_t k = 0; k < 4; ++k) {
        products[i + k] = aot_winograd_dot(weights + k / 2 * 2, inputs + k % 2 * 2, job->depth);
      }
      weights += job->depth;
      inputs += job->depth;
    }
    more = job->outputs(products, weights, job);
  }
}

AOT_INLINE void aot_winograd_column(const int8_t *const rows[4], int32_t channels, int32_t step,
                                    aot_word *column) {
  for (int32_t i = 0; i < channels; i += 4) {
    const uint32_t a = aot_load4(rows[0] + i), b = aot_load4(rows[1] + i);
    const uint32_t c = aot_load4(rows[2] + i), d = aot_load4(rows[3] + i);
    const uint32_t b0 = aot_widen_even(b), b1 = aot_widen_odd(b);
    const uint32_t c0 = aot_widen_even(c), c1 = aot_widen_odd(c);
    column[0] = aot_sub_halves(aot_widen_even(a), c0);
    column[1] = aot_sub_halves(aot_widen_odd(a), c1);
    column[2] = aot_add_halves(b0, c0);
    column[3] = aot_add_halves(b1, c1);
    column[4] = aot_sub_halves(c0, b0);
    column[5] = aot_sub_halves(c1, b1);
    column[6] = aot_sub_halves(b0, aot_widen_even(d));
    column[7] = aot_sub_halves(b1, aot_widen_odd(d));
    column += step;
  }
}

AOT_INLINE void aot_winograd_lines(aot_word *lines, int32_t line, const aot_word *columns) {
  for (int32_t i = 0; i < 8; i += 2) {
    for (int32_t k = i; k < i + 2; ++k) {
      const uint32_t a = columns[k], b = columns[8 + k], c = columns[16 + k], d = columns[24 + k];
      aot_word *const word = lines + k - i;
      word[0] = aot_sub_halves(a, c);
      word[line] = aot_add_halves(b, c);
      word[2 * line] = aot_sub_halves(c, b);
      word[3 * line] = aot_sub_halves(b, d);
    }
    lines += 4 * line;
  }
}
#endif

#endif
