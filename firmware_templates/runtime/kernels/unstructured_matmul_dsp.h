/* SPDX-License-Identifier: Apache-2.0 */
/* The channels of unstructured_matmul.h on a core with DSP instructions.
 *
 * As in sparse_matmul_dsp.h the sums of a channel stay in registers while a chain of equal steps consumes its
 * weights, and a `finish` turns them into int8. Saved on the stack while they run:
 *   what sparse_matmul_dsp.h has there, +24 activations;
 *   then r4 - r11 and lr.
 * r0 walks the stream, r1 the activations; r4 - r11 have the sums of two positions each in two registers. */
#ifndef AOT_UNSTRUCTURED_MATMUL_DSP_H
#define AOT_UNSTRUCTURED_MATMUL_DSP_H

#include "sparse_matmul_dsp.h"

/* What a chain needs; it reads the members in this order. */
struct aot_unstructured_job {
  const uint32_t *stream;
  const aot_word *wide;
  int8_t *output;
  int32_t step;
  int32_t three_steps;
  aot_sparse_finish finish;
};

/* Eight rows, where they go, and their bytes (a multiple of 4, not 0); the loop reads them in this order. */
struct aot_widen_eight_job {
  const int8_t *const *rows;
  aot_word *wide;
  int32_t count;
};

/* Of rows a and b, word 4 i of their pair has a[i] + 128 in its lowest byte and b[i] in its highest. */
AOT_NAKED void aot_widen_eight_loop(void) {
  __asm__ volatile(
      "push {r4-r11, lr}\n\t"
      "ldm r0, {r0, r9, r10}\n\t"
      "mov r12, #0xff00ff00\n\t"
      "mov lr, #0x00800080\n\t"
      "push {r10}\n\t"
      "mov r10, #4\n\t"
      "1: ldrd r1, r2, [r0], #8\n\t"
      "mov r3, r9\n\t"
      "ldr r11, [sp]\n\t"
      "2: ldr r4, [r1], #4\n\t"
      "ldr r5, [r2], #4\n\t"
      "sxtab16 r6, lr, r4\n\t"
      "sxtab16 r4, lr, r4, ror #8\n\t"
      "and r7, r12, r5, lsl #8\n\t"
      "and r5, r12, r5\n\t"
      "pkhbt r8, r6, r7, lsl #16\n\t"
      "str r8, [r3], #16\n\t"
      "pkhbt r8, r4, r5, lsl #16\n\t"
      "str r8, [r3], #16\n\t"
      "pkhtb r8, r7, r6, asr #16\n\t"
      "str r8, [r3], #16\n\t"
      "pkhtb r8, r5, r4, asr #16\n\t"
      "str r8, [r3], #16\n\t"
      "subs r11, r11, #4\n\t"
      "bgt 2b\n\t"
      "add r9, r9, #4\n\t"
      "subs r10, r10, #1\n\t"
      "bgt 1b\n\t"
      "add sp, sp, #4\n\t"
      "pop {r4-r11, pc}\n\t");
}

#define AOT_UNSTRUCTURED_START  \
  "ldm.w r0!, {r4, r5}\n\t"      \
  "mov r6, r4\n\t"               \
  "mov r7, r5\n\t"               \
  "mov r8, r4\n\t"               \
  "mov r9, r5\n\t"               \
  "mov r10, r4\n\t"              \
  "mov r11, r5\n\t"              \
  "ldr r1, [sp, #24]\n\t"

/* One weight at eight positions; registers that hold both words would be one too many. */
#define AOT_UNSTRUCTURED_EIGHT            \
  "ldrd r12, lr, [r1]\n\t"               \
  "smlal r4, r5, r3, r12\n\t"            \
  "smlal r6, r7, r3, lr\n\t"             \
  "ldrd r12, lr, [r1, #8]\n\t"           \
  "smlal r8, r9, r3, r12\n\t"            \
  "smlal r10, r11, r3, lr\n\t"

/* Two weights at eight positions: 16 products in 17 instructions of 4 bytes each. */
#define AOT_UNSTRUCTURED_STEP             \
  "ldr r2, [r0], #4\n\t"                 \
  "sxtb.w r3, r2\n\t"                    \
  "uxtab r1, r1, r2, ror #8\n\t"         \
  AOT_UNSTRUCTURED_EIGHT                 \
  "sxtb r3, r2, ror #16\n\t"             \
  "uxtab r1, r1, r2, ror #24\n\t"        \
  AOT_UNSTRUCTURED_EIGHT

#define AOT_UNSTRUCTURED_BEGIN  \
  "push {r4-r11, lr}\n\t"       \
  "ldm r0, {r0-r5}\n\t"         \
  "adr.w r6, 1f\n\t"            \
  "orr r6, r6, #1\n\t"          \
  "mov r8, r1\n\t"              \
  "push {r2-r8}\n\t"            \
  "ldr lr, [r0], #4\n\t"

AOT_NAKED void aot_unstructured_once(void) {
  __asm__ volatile(AOT_SPARSE_ONCE(AOT_UNSTRUCTURED_BEGIN, AOT_UNSTRUCTURED_START, "28", AOT_UNSTRUCTURED_STEP));
}

AOT_NAKED void aot_unstructured_repeated(void) {
  __asm__ volatile(AOT_SPARSE_REPEATED(AOT_UNSTRUCTURED_BEGIN, AOT_UNSTRUCTURED_START, "28", AOT_UNSTRUCTURED_STEP));
}

/* Separates the sums of two positions: the upper one is one less where the lower one is negative. */
#define AOT_UNSTRUCTURED_SEPARATE(low, high)      \
  "lsls r2, " low ", #9\n\t"                      \
  "lsr r2, " low ", #24\n\t"                      \
  "adc " high ", r2, " high ", lsl #8\n\t"        \
  "sbfx " low ", " low ", #0, #24\n\t"

#define AOT_UNSTRUCTURED_FINISH_BEGIN            \
  AOT_SPARSE_FINISH_BEGIN                        \
  AOT_UNSTRUCTURED_SEPARATE("r4", "r5")          \
  AOT_UNSTRUCTURED_SEPARATE("r6", "r7")          \
  AOT_UNSTRUCTURED_SEPARATE("r8", "r9")          \
  AOT_UNSTRUCTURED_SEPARATE("r10", "r11")

#define AOT_UNSTRUCTURED_STORE           \
  "ldm.w sp, {r1, r2, r3}\n\t"           \
  "add r12, r1, r2, lsl #2\n\t"          \
  "strb r5, [r1, r2]\n\t"                \
  "strb r6, [r1, r2, lsl #1]\n\t"        \
  "strb r7, [r1, r3]\n\t"                \
  "strb r8, [r12]\n\t"                   \
  "strb r9, [r12, r2]\n\t"               \
  "strb r10, [r12, r2, lsl #1]\n\t"      \
  "strb r11, [r12, r3]\n\t"              \
  "strb r4, [r1], #1\n\t"                \
  "str r1, [sp]\n\t"

#define AOT_UNSTRUCTURED_DIRECT_FUNCTION(end_shift)                 \
  AOT_NAKED void aot_unstructured_direct_##end_shift(void) {        \
    __asm__ volatile(AOT_UNSTRUCTURED_FINISH_BEGIN                  \
                     AOT_SPARSE_DIRECT("r4", AOT_TEXT(end_shift))   \
                     AOT_SPARSE_DIRECT("r5", AOT_TEXT(end_shift))   \
                     AOT_SPARSE_DIRECT("r6", AOT_TEXT(end_shift))   \
                     AOT_SPARSE_DIRECT("r7", AOT_TEXT(end_shift))   \
                     AOT_SPARSE_DIRECT("r8", AOT_TEXT(end_shift))   \
                     AOT_SPARSE_DIRECT("r9", AOT_TEXT(end_shift))   \
                     AOT_SPARSE_DIRECT("r10", AOT_TEXT(end_shift))  \
                     AOT_SPARSE_DIRECT("r11", AOT_TEXT(end_shift))  \
                     AOT_UNSTRUCTURED_STORE AOT_SPARSE_FINISH_END); \
  }

AOT_NAKED void aot_unstructured_signed(void) {
  __asm__ volatile(AOT_UNSTRUCTURED_FINISH_BEGIN       /**/
                   AOT_SPARSE_SIGNED("r4", "r2")       /**/
                   AOT_SPARSE_SIGNED("r5", "r2")       /**/
                   AOT_SPARSE_SIGNED("r6", "r2")       /**/
                   AOT_SPARSE_SIGNED("r7", "r2")       /**/
                   AOT_SPARSE_SIGNED("r8", "r2")       /**/
                   AOT_SPARSE_SIGNED("r9", "r2")       /**/
                   AOT_SPARSE_SIGNED("r10", "r2")      /**/
                   AOT_SPARSE_SIGNED("r11", "r2")      /**/
                   AOT_UNSTRUCTURED_STORE AOT_SPARSE_FINISH_END);
}

AOT_SPARSE_EACH_SHIFT(AOT_UNSTRUCTURED_DIRECT_FUNCTION)

#define AOT_FINISH_UNSTRUCTURED_DIRECT(shift) aot_unstructured_direct_##shift
#define AOT_FINISH_UNSTRUCTURED_SIGNED aot_unstructured_signed
#define AOT_CHAIN_UNSTRUCTURED_ONCE aot_unstructured_once
#define AOT_CHAIN_UNSTRUCTURED_REPEATED aot_unstructured_repeated

#endif
