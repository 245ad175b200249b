/* SPDX-License-Identifier: Apache-2.0 */
/* The products of conv_2d_narrow.h: on a core with DSP instructions in assembly, and in portable C with equal
 * bytes.
 *
 * In scratch, the constants of each block of four channels a, b, c, d are
 *   4 words       biases
 *   1 word        the address of the code that the block is for
 *   4 * words     weights a, b, c, d of each word of a window, each two int16
 *   8 or 12 words multiplier and constant of each channel; in the signed way its right shift too
 * and after the last block come 4 words and the address of what leads to the next pair of windows. So one
 * instruction that loads multiple registers begins a block and goes to its code. */
#ifndef AOT_CONV_2D_NARROW_DSP_H
#define AOT_CONV_2D_NARROW_DSP_H

#include "dsp.h"

/* What the products of a strip of windows need; the assembly reads all members but the last, in this order. */
struct aot_narrow_job {
  const aot_word *wide; /* word k of the first window of a pair is word 2 k, that of the second the next */
  const aot_word *wide_end;
  int8_t *first; /* outputs of both windows */
  int8_t *second;
  const aot_word *constants;
  uint32_t pair_bytes;    /* of widened inputs */
  uint32_t channel_bytes; /* from the outputs of a window to those of the next */
  aot_word *gathered;     /* `wide`, to be written */
};

#if AOT_DSP
/* On the stack, while the functions below run: the members of the job. They are naked and jump to each other;
 * only aot_narrow_run is called. r0 walks the constants, r1 the inputs. Sums of the first window are in
 * r6 - r9, those of the second in r10, r11, r12 and lr. */
#define AOT_NARROW_BLOCK                \
  "ldm r0, {r10, r11, r12, lr}\n\t"     \
  "ldm.w r0!, {r6-r9, pc}\n\t"

AOT_NAKED void aot_narrow_run(void) {
  __asm__ volatile(
      "push {r4-r11, lr}\n\t"
      "ldm r0, {r1-r7}\n\t"
      "push {r1-r7}\n\t"
      "mov r0, r5\n\t" AOT_NARROW_BLOCK);
}

/* To the next pair of windows, whose first outputs begin where those of the second end. */
AOT_NAKED void aot_narrow_next(void) {
  __asm__ volatile(
      "ldm sp, {r1-r7}\n\t"
      "add r1, r1, r6\n\t"
      "cmp r1, r2\n\t"
      "beq 1f\n\t"
      "add r3, r3, r7\n\t"
      "add r4, r4, r7\n\t"
      "stm sp, {r1-r4}\n\t"
      "mov r0, r5\n\t" AOT_NARROW_BLOCK
      "1: add sp, sp, #28\n\t"
      "pop {r4-r11, pc}\n\t");
}

/* One word of both windows and four channels: 16 products in 11 instructions of 4 bytes each. */
#define AOT_NARROW_STEP_BYTES 44u
#define AOT_NARROW_STEP                 \
  "ldrd r4, r5, [r1], #8\n\t"           \
  "ldrd r2, r3, [r0], #8\n\t"           \
  "smlad r6, r2, r4, r6\n\t"            \
  "smlad r10, r2, r5, r10\n\t"          \
  "smlad r7, r3, r4, r7\n\t"            \
  "smlad r11, r3, r5, r11\n\t"          \
  "ldrd r2, r3, [r0], #8\n\t"           \
  "smlad r8, r2, r4, r8\n\t"            \
  "smlad r12, r2, r5, r12\n\t"          \
  "smlad r9, r3, r4, r9\n\t"            \
  "smlad lr, r3, r5, lr\n\t"

/* The generator defines it as what the model's longest layer needs, at most this. */
#ifndef AOT_NARROW_STEPS
#define AOT_NARROW_STEPS 32
#endif
#define AOT_NARROW_CHAIN ".rept " AOT_TEXT(AOT_NARROW_STEPS) "\n\t" AOT_NARROW_STEP ".endr\n\t"

#define AOT_NARROW_STORE                \
  "ldrd r2, r3, [sp, #8]\n\t"           \
  "strb r6, [r2], #1\n\t"               \
  "strb r10, [r3], #1\n\t"              \
  "strb r7, [r2], #1\n\t"               \
  "strb r11, [r3], #1\n\t"              \
  "strb r8, [r2], #1\n\t"               \
  "strb r12, [r3], #1\n\t"              \
  "strb r9, [r2], #1\n\t"               \
  "strb lr, [r3], #1\n\t"               \
  "strd r2, r3, [sp, #8]\n\t"           \
  "ldr r1, [sp]\n\t" AOT_NARROW_BLOCK

/* Two channels of both windows. */
#define AOT_NARROW_SHIFTED(a0, a1, b0, b1, end_shift)  \
  "ldm.w r0!, {r2-r5}\n\t"                             \
  "smmla " a0 ", " a0 ", r2, r3\n\t"                   \
  "smmla " a1 ", " a1 ", r2, r3\n\t"                   \
  "smmla " b0 ", " b0 ", r4, r5\n\t"                   \
  "smmla " b1 ", " b1 ", r4, r5\n\t"                   \
  "ssat " a0 ", #8, " a0 ", asr #" end_shift "\n\t"    \
  "ssat " a1 ", #8, " a1 ", asr #" end_shift "\n\t"    \
  "ssat " b0 ", #8, " b0 ", asr #" end_shift "\n\t"    \
  "ssat " b1 ", #8, " b1 ", asr #" end_shift "\n\t"

#define AOT_NARROW_SHIFTED_FUNCTION(end_shift)                                           \
  AOT_NAKED void aot_narrow_shifted_##end_shift(void) {                                  \
    __asm__ volatile(AOT_NARROW_CHAIN                                                    \
                     AOT_NARROW_SHIFTED("r6", "r10", "r7", "r11", AOT_TEXT(end_shift))   \
                     AOT_NARROW_SHIFTED("r8", "r12", "r9", "lr", AOT_TEXT(end_shift))    \
                     AOT_NARROW_STORE);                                                  \
  }

/* One channel of both windows; sums come doubled. The last rounding is away from zero: one less where the sum
 * is negative. */
#define AOT_NARROW_SIGNED(sum0, sum1)           \
  "ldm.w r0!, {r1, r2, r3}\n\t"                 \
  "smmlar r4, " sum0 ", r1, r2\n\t"             \
  "smmlar r5, " sum1 ", r1, r2\n\t"             \
  "add r4, r4, " sum0 ", asr #31\n\t"           \
  "add r5, r5, " sum1 ", asr #31\n\t"           \
  "asr r4, r4, r3\n\t"                          \
  "asr r5, r5, r3\n\t"                          \
  "ssat " sum0 ", #8, r4\n\t"                   \
  "ssat " sum1 ", #8, r5\n\t"

AOT_NAKED void aot_narrow_signed(void) {
  __asm__ volatile(AOT_NARROW_CHAIN                        /**/
                   AOT_NARROW_SIGNED("r6", "r10")          /**/
                   AOT_NARROW_SIGNED("r7", "r11")          /**/
                   AOT_NARROW_SIGNED("r8", "r12")          /**/
                   AOT_NARROW_SIGNED("r9", "lr")           /**/
                   AOT_NARROW_STORE);
}

AOT_NARROW_SHIFTED_FUNCTION(4)
AOT_NARROW_SHIFTED_FUNCTION(5)
AOT_NARROW_SHIFTED_FUNCTION(6)
AOT_NARROW_SHIFTED_FUNCTION(7)
AOT_NARROW_SHIFTED_FUNCTION(8)
AOT_NARROW_SHIFTED_FUNCTION(9)
AOT_NARROW_SHIFTED_FUNCTION(10)
AOT_NARROW_SHIFTED_FUNCTION(11)
AOT_NARROW_SHIFTED_FUNCTION(12)
AOT_NARROW_SHIFTED_FUNCTION(13)
AOT_NARROW_SHIFTED_FUNCTION(14)
AOT_NARROW_SHIFTED_FUNCTION(15)
AOT_NARROW_SHIFTED_FUNCTION(16)
AOT_NARROW_SHIFTED_FUNCTION(17)
AOT_NARROW_SHIFTED_FUNCTION(18)

typedef void (*aot_narrow_finish)(void);
#define AOT_FINISH_NARROW_SHIFTED(shift) aot_narrow_shifted_##shift
#define AOT_FINISH_NARROW_SIGNED aot_narrow_signed

/* Code of a block whose windows have so many words: the last steps of its chain. */
AOT_INLINE uint32_t aot_narrow_code(aot_narrow_finish finish, int32_t words) {
  return (uint32_t)(uintptr_t)finish + (AOT_NARROW_STEPS - (uint32_t)words) * AOT_NARROW_STEP_BYTES;
}

AOT_INLINE uint32_t aot_narrow_end(void) { return (uint32_t)(uintptr_t)aot_narrow_next; }

AOT_INLINE void aot_narrow_strip(const struct aot_narrow_job *job, int32_t words, int32_t blocks,
                                 aot_narrow_finish finish) {
  (void)words;
  (void)blocks;
  (void)finish;
  aot_call(aot_narrow_run, job);
}
#else
/* The right shift that ends all channels, or 0 for the signed way. */
typedef int32_t aot_narrow_finish;
#define AOT_FINISH_NARROW_SHIFTED(shift) (shift)
#define AOT_FINISH_NARROW_SIGNED 0

AOT_INLINE uint32_t aot_narrow_code(aot_narrow_finish finish, int32_t words) {
  (void)finish;
  (void)words;
  return 0;
}

AOT_INLINE uint32_t aot_narrow_end(void) { return 0; }

AOT_INLINE int8_t aot_narrow_output(uint32_t sum, const aot_word *parameters, aot_narrow_finish end_shift) {
  const int32_t x = (int32_t)sum;
  const int32_t multiplier = (int32_t)parameters[0], constant = (int32_t)parameters[1];
  const int32_t scaled = end_shift != 0
                             ? aot_high_mac(x, multiplier, constant) >> end_shift
                             : (aot_rounded_high_mac(x, multiplier, constant) + (x >> 31)) >> parameters[2];
  return (int8_t)aot_clamp(scaled, INT8_MIN, INT8_MAX);
}

/* All channels of one window, whose words are every second one from `wide`. */
AOT_INLINE void aot_narrow_window(const aot_word *constants, const aot_word *wide, int32_t words,
                                  int32_t blocks, aot_narrow_finish finish, int8_t *output) {
  const int32_t each = finish != 0 ? 2 : 3;
  for (int32_t block = 0; block < blocks; ++block) {
    const aot_word *const weights = constants + 5;
    const aot_word *const parameters = weights + 4 * words;
    for (int32_t channel = 0; channel < 4; ++channel) {
      uint32_t sum = constants[channel];
      for (int32_t k = 0; k < words; ++k) {
        sum = aot_dual_mac(weights[4 * k + channel], wide[2 * k], sum);
      }
      *output++ = aot_narrow_output(sum, parameters + each * channel, finish);
    }
    constants = parameters + 4 * each;
  }
}

AOT_INLINE void aot_narrow_strip(const struct aot_narrow_job *job, int32_t words, int32_t blocks,
                                 aot_narrow_finish finish) {
  int8_t *first = job->first, *second = job->second;
  for (const aot_word *wide = job->wide; wide != job->wide_end; wide += job->pair_bytes / 4) {
    aot_narrow_window(job->constants, wide, words, blocks, finish, first);
    aot_narrow_window(job->constants, wide + 1, words, blocks, finish, second);
    first += 2 * job->channel_bytes;
    second += 2 * job->channel_bytes;
  }
}
#endif

#endif
