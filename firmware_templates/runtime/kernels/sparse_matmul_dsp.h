/* SPDX-License-Identifier: Apache-2.0 */
/* The channels of sparse_matmul.h on a core with DSP instructions.
 *
 * The sums of a channel stay in registers while a chain of equal steps consumes its blocks;
 * the chain is entered so far before its end that its last step is the last block. A `finish` turns the sums
 * into int8, stores them, and starts the next channel; the head after the last one enters where all ends. The
 * functions below are naked and jump to each other; only the chains are called. Saved on the stack while they
 * run:
 *   [sp] output, +4 bytes from one position's output to the next, +8 three times that, +12 finish,
 *   +16 where a channel starts, +20 passes left of the chain;
 *   then r4 - r11 and lr.
 * r0 walks the stream, r1 the places, r2 has the activations, r8 - r11 the sums (of one position: r8). From one
 * channel's finish to the next one's chain, lr keeps the head. */
#ifndef AOT_SPARSE_MATMUL_DSP_H
#define AOT_SPARSE_MATMUL_DSP_H

#include "dsp.h"

typedef void (*aot_sparse_finish)(void);
typedef void (*aot_sparse_chain)(void);

/* What a chain needs; it reads the members in this order. */
struct aot_sparse_job {
  const uint32_t *stream;
  const uint8_t *places;
  const aot_word *wide;
  int8_t *output;
  int32_t step;
  int32_t three_steps;
  aot_sparse_finish finish;
};

/* Four rows, where they go, and their bytes (a multiple of 4, not 0); the loop reads them in this order. */
struct aot_widen_quad_job {
  const int8_t *first;
  const int8_t *second;
  const int8_t *third;
  const int8_t *fourth;
  aot_word *wide;
  int32_t count;
};

AOT_NAKED void aot_widen_quad_loop(void) {
  __asm__ volatile(
      "push {r4-r11, lr}\n\t"
      "ldm r0, {r0-r5}\n\t"
      "1: ldr r6, [r0], #4\n\t"
      "ldr r7, [r1], #4\n\t"
      "ldr r8, [r2], #4\n\t"
      "ldr r9, [r3], #4\n\t"
      "sxtb16 r10, r6\n\t"
      "sxtb16 r11, r7\n\t"
      "sxtb16 r12, r8\n\t"
      "sxtb16 lr, r9\n\t"
      "stm r4!, {r10, r11, r12, lr}\n\t"
      "sxtb16 r6, r6, ror #8\n\t"
      "sxtb16 r7, r7, ror #8\n\t"
      "sxtb16 r8, r8, ror #8\n\t"
      "sxtb16 r9, r9, ror #8\n\t"
      "stm r4!, {r6-r9}\n\t"
      "subs r5, r5, #4\n\t"
      "bgt 1b\n\t"
      "pop {r4-r11, pc}\n\t");
}

#define AOT_SPARSE_QUAD_START  \
  "ldr r8, [r0], #4\n\t"      \
  "mov r9, r8\n\t"            \
  "mov r10, r8\n\t"           \
  "mov r11, r8\n\t"

#define AOT_SPARSE_SINGLE_START "ldr r8, [r0], #4\n\t"

/* The passes of the chain, which are the words of weights in units of 16, rounded up. */
#define AOT_SPARSE_PASSES     \
  "ubfx r3, lr, #8, #13\n\t" \
  "add r3, r3, #15\n\t"      \
  "lsr r3, r3, #4\n\t"       \
  "str r3, [sp, #20]\n\t"

/* What follows the next instruction is where a head of 0 enters: that is what the program counter reads here. */
#define AOT_SPARSE_ENTER   \
  "lsr r3, lr, #21\n\t"   \
  "add pc, r3\n\t"        \
  "nop.n\n\t"

/* The end of all channels, in 8 bytes; the chain follows. */
#define AOT_SPARSE_EXIT(saved)        \
  "add.n sp, sp, #" saved "\n\t"     \
  "pop.w {r4-r11, pc}\n\t"           \
  "nop.n\n\t"

/* Four weights at four positions: 16 products in 15 instructions of 4 bytes each. */
#define AOT_SPARSE_QUAD_STEP               \
  "ldrb r3, [r1], #1\n\t"                  \
  "ldr r12, [r0], #4\n\t"                  \
  "add.w r3, r2, r3, lsl #5\n\t"           \
  "sxtb16 lr, r12\n\t"                     \
  "sxtb16 r12, r12, ror #8\n\t"            \
  "ldm.w r3!, {r4-r7}\n\t"                 \
  "smlad r8, lr, r4, r8\n\t"               \
  "smlad r9, lr, r5, r9\n\t"               \
  "smlad r10, lr, r6, r10\n\t"             \
  "smlad r11, lr, r7, r11\n\t"             \
  "ldm.w r3, {r4-r7}\n\t"                  \
  "smlad r8, r12, r4, r8\n\t"              \
  "smlad r9, r12, r5, r9\n\t"              \
  "smlad r10, r12, r6, r10\n\t"            \
  "smlad r11, r12, r7, r11\n\t"

/* Four weights at one position: 4 products in 8 instructions of 4 bytes each. */
#define AOT_SPARSE_SINGLE_STEP       \
  "ldrb r3, [r1], #1\n\t"           \
  "ldr r12, [r0], #4\n\t"           \
  "add.w r3, r2, r3, lsl #3\n\t"    \
  "sxtb16 lr, r12\n\t"              \
  "sxtb16 r12, r12, ror #8\n\t"     \
  "ldrd r4, r5, [r3]\n\t"           \
  "smlad r8, lr, r4, r8\n\t"        \
  "smlad r8, r12, r5, r8\n\t"

#define AOT_SPARSE_CHAIN(step) ".rept 16\n\t" step ".endr\n\t"

/* Ends the chain, or goes through it once more. */
#define AOT_SPARSE_ONCE_END "ldr.w pc, [sp, #12]\n\t"
#define AOT_SPARSE_REPEATED_END \
  "ldr r3, [sp, #20]\n\t"       \
  "subs r3, r3, #1\n\t"         \
  "str r3, [sp, #20]\n\t"       \
  "bgt.w 2b\n\t"                \
  AOT_SPARSE_ONCE_END

#define AOT_SPARSE_BEGIN          \
  "push {r4-r11, lr}\n\t"         \
  "ldm r0, {r0-r6}\n\t"           \
  "adr.w r7, 1f\n\t"              \
  "orr r7, r7, #1\n\t"            \
  "push {r3-r8}\n\t"              \
  "ldr lr, [r0], #4\n\t"

/* A chain of its own for layers of whose channels none needs more than one pass. */
#define AOT_SPARSE_ONCE(begin, start, saved, step) \
  begin "1: " start AOT_SPARSE_ENTER AOT_SPARSE_EXIT(saved) AOT_SPARSE_CHAIN(step) AOT_SPARSE_ONCE_END
#define AOT_SPARSE_REPEATED(begin, start, saved, step)                              \
  begin "1: " start AOT_SPARSE_PASSES AOT_SPARSE_ENTER AOT_SPARSE_EXIT(saved) "2: " \
  AOT_SPARSE_CHAIN(step) AOT_SPARSE_REPEATED_END

AOT_NAKED void aot_sparse_quad_once(void) {
  __asm__ volatile(AOT_SPARSE_ONCE(AOT_SPARSE_BEGIN, AOT_SPARSE_QUAD_START, "24", AOT_SPARSE_QUAD_STEP));
}

AOT_NAKED void aot_sparse_quad_repeated(void) {
  __asm__ volatile(AOT_SPARSE_REPEATED(AOT_SPARSE_BEGIN, AOT_SPARSE_QUAD_START, "24", AOT_SPARSE_QUAD_STEP));
}

AOT_NAKED void aot_sparse_single_once(void) {
  __asm__ volatile(AOT_SPARSE_ONCE(AOT_SPARSE_BEGIN, AOT_SPARSE_SINGLE_START, "24", AOT_SPARSE_SINGLE_STEP));
}

AOT_NAKED void aot_sparse_single_repeated(void) {
  __asm__ volatile(AOT_SPARSE_REPEATED(AOT_SPARSE_BEGIN, AOT_SPARSE_SINGLE_START, "24", AOT_SPARSE_SINGLE_STEP));
}

#define AOT_SPARSE_FINISH_BEGIN "ldm.w r0!, {r3, r12, lr}\n\t"

#define AOT_SPARSE_QUAD_STORE       \
  "ldm.w sp, {r4, r5, r6}\n\t"      \
  "strb r9, [r4, r5]\n\t"           \
  "strb r10, [r4, r5, lsl #1]\n\t"  \
  "strb r11, [r4, r6]\n\t"          \
  "strb r8, [r4], #1\n\t"           \
  "str r4, [sp]\n\t"

#define AOT_SPARSE_SINGLE_STORE  \
  "ldr r4, [sp]\n\t"            \
  "strb r8, [r4], #1\n\t"       \
  "str r4, [sp]\n\t"

#define AOT_SPARSE_FINISH_END "ldr.w pc, [sp, #16]\n\t"

#define AOT_SPARSE_DIRECT(sum, end_shift)                  \
  "smmla " sum ", " sum ", r3, r12\n\t"                    \
  "ssat " sum ", #8, " sum ", asr #" end_shift "\n\t"

#define AOT_SPARSE_DIRECT_FUNCTIONS(end_shift)                                            \
  AOT_NAKED void aot_sparse_quad_direct_##end_shift(void) {                               \
    __asm__ volatile(AOT_SPARSE_FINISH_BEGIN                                              \
                     AOT_SPARSE_DIRECT("r8", AOT_TEXT(end_shift))                         \
                     AOT_SPARSE_DIRECT("r9", AOT_TEXT(end_shift))                         \
                     AOT_SPARSE_DIRECT("r10", AOT_TEXT(end_shift))                        \
                     AOT_SPARSE_DIRECT("r11", AOT_TEXT(end_shift))                        \
                     AOT_SPARSE_QUAD_STORE AOT_SPARSE_FINISH_END);                        \
  }                                                                                       \
  AOT_NAKED void aot_sparse_single_direct_##end_shift(void) {                             \
    __asm__ volatile(AOT_SPARSE_FINISH_BEGIN AOT_SPARSE_DIRECT("r8", AOT_TEXT(end_shift)) \
                     AOT_SPARSE_SINGLE_STORE AOT_SPARSE_FINISH_END);                      \
  }

/* Those that no layer names are not compiled. */
#define AOT_SPARSE_EACH_SHIFT(define)                                                                     \
  define(1) define(2) define(3) define(4) define(5) define(6) define(7) define(8) define(9)               \
  define(10) define(11) define(12) define(13) define(14) define(15) define(16) define(17) define(18)
AOT_SPARSE_EACH_SHIFT(AOT_SPARSE_DIRECT_FUNCTIONS)

/* The last rounding is away from zero: one less where the sum is negative. */
#define AOT_SPARSE_SIGNED(sum, spare)                \
  "lsl " spare ", " sum ", #1\n\t"                  \
  "smmlar " sum ", " spare ", r3, r12\n\t"          \
  "add " sum ", " sum ", " spare ", asr #31\n\t"    \
  "asr " sum ", " sum ", lr\n\t"                  \
  "ssat " sum ", #8, " sum "\n\t"

AOT_NAKED void aot_sparse_quad_signed(void) {
  __asm__ volatile(AOT_SPARSE_FINISH_BEGIN       /**/
                   AOT_SPARSE_SIGNED("r8", "r4")       /**/
                   AOT_SPARSE_SIGNED("r9", "r4")       /**/
                   AOT_SPARSE_SIGNED("r10", "r4")      /**/
                   AOT_SPARSE_SIGNED("r11", "r4")      /**/
                   AOT_SPARSE_QUAD_STORE AOT_SPARSE_FINISH_END);
}

AOT_NAKED void aot_sparse_single_signed(void) {
  __asm__ volatile(AOT_SPARSE_FINISH_BEGIN AOT_SPARSE_SIGNED("r8", "r4")
                   AOT_SPARSE_SINGLE_STORE AOT_SPARSE_FINISH_END);
}

#define AOT_FINISH_SPARSE_QUAD_DIRECT(shift) aot_sparse_quad_direct_##shift
#define AOT_FINISH_SPARSE_QUAD_SIGNED aot_sparse_quad_signed
#define AOT_FINISH_SPARSE_SINGLE_DIRECT(shift) aot_sparse_single_direct_##shift
#define AOT_FINISH_SPARSE_SINGLE_SIGNED aot_sparse_single_signed
#define AOT_CHAIN_SPARSE_QUAD_ONCE aot_sparse_quad_once
#define AOT_CHAIN_SPARSE_QUAD_REPEATED aot_sparse_quad_repeated
#define AOT_CHAIN_SPARSE_SINGLE_ONCE aot_sparse_single_once
#define AOT_CHAIN_SPARSE_SINGLE_REPEATED aot_sparse_single_repeated

#endif
