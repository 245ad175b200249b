/* SPDX-License-Identifier: Apache-2.0 */
/* The blocks of matmul.h on a core with DSP instructions.
 *
 * The sums of a block stay in registers while a chain of equal steps consumes weights and activations; the
 * chain is entered so far before its end that its last step is the last of the depth, and repeated until the
 * activations end. A `finish` turns the sums into int8, stores them, and starts the next block. The
 * functions below are naked and jump to each other; only those whose names end with _chain are called. Saved
 * on the stack while they run:
 *   [sp] activations, +4 their end, +8 finish, +12 output, +16 second output, +20 end of the stream,
 *   +24 where the chain is entered, +28 where it ends: at the finish, or at a test whether to repeat it;
 *   then r4 - r11 and lr.
 * r0 walks the stream, r1 the activations. */
#ifndef AOT_MATMUL_DSP_H
#define AOT_MATMUL_DSP_H

#include "dsp.h"

typedef void (*aot_finish)(void);

/* What a chain needs; it reads the members in this order. */
struct aot_matmul_job {
  const uint32_t *stream;
  const aot_word *wide;
  const aot_word *wide_end;
  aot_finish finish;
  int8_t *first;
  int8_t *second;
  const uint32_t *stream_end;
  uint32_t entry;   /* bytes of code from the first step that is executed to the end of the chain */
  uint32_t repeats; /* whether the chain is run more than once */
};

/* A chain of `steps` steps, of which `count` are made for every block. */
AOT_INLINE void aot_matmul_enter(struct aot_matmul_job *job, uint32_t count, uint32_t steps,
                                 uint32_t step_bytes) {
  job->entry = ((count - 1u) % steps + 1u) * step_bytes;
  job->repeats = count > steps;
}

/* A chain of equal steps, written once. */
#define AOT_CHAIN(steps, step) "1: .rept " AOT_TEXT(steps) "\n\t" step ".endr\n\t"

#define AOT_CHAIN_BEGIN           \
  "push {r4-r11, lr}\n\t"         \
  "ldm r0, {r0-r8}\n\t"           \
  "adr r9, 2f\n\t"                \
  "sub r7, r9, r7\n\t"            \
  "orr r7, r7, #1\n\t"            \
  "cmp r8, #0\n\t"                \
  "ite ne\n\t"                    \
  "addne r8, r9, #5\n\t"          \
  "moveq r8, r3\n\t"              \
  "push {r1-r8}\n\t"

/* The test follows the jump, which has 4 bytes; its address, like all that are jumped to, has bit 0 set. */
#define AOT_CHAIN_END             \
  "2: ldr.w pc, [sp, #28]\n\t"    \
  "ldr r2, [sp, #4]\n\t"          \
  "cmp r1, r2\n\t"                \
  "bne 1b\n\t"                    \
  "ldr pc, [sp, #8]\n\t"

/* --- Two positions: a in r6 and r10, a + 256 b in r7 and r11, c in r8 and r12, c + 256 d in r9 and lr. --- */

#define AOT_PAIR_START                  \
  "ldm r0, {r6-r9}\n\t"                 \
  "ldm r0!, {r10, r11, r12, lr}\n\t"    \
  "ldr r1, [sp]\n\t"                    \
  "ldr pc, [sp, #24]\n\t"

/* Two inputs of four channels at two positions: 16 products in 12 instructions of 4 bytes each. */
#define AOT_PAIR_STEP_BYTES 48u
#define AOT_PAIR_STEP                   \
  "ldrd r2, r3, [r0], #8\n\t"           \
  "ldrd r4, r5, [r1], #8\n\t"           \
  "smlad r7, r2, r4, r7\n\t"            \
  "smlad r11, r2, r5, r11\n\t"            \
  "smlad r9, r3, r4, r9\n\t"          \
  "smlad lr, r3, r5, lr\n\t"            \
  "sxtb16 r2, r2\n\t"                   \
  "sxtb16 r3, r3\n\t"                   \
  "smlad r6, r2, r4, r6\n\t"            \
  "smlad r10, r2, r5, r10\n\t"            \
  "smlad r8, r3, r4, r8\n\t"          \
  "smlad r12, r3, r5, r12\n\t"

/* The generator defines it as what the model's longest layer needs, at most this. */
#ifndef AOT_PAIR_STEPS
#define AOT_PAIR_STEPS 32
#endif

AOT_NAKED void aot_matmul_pair_chain(void) {
  __asm__ volatile(AOT_CHAIN_BEGIN AOT_PAIR_START AOT_CHAIN(AOT_PAIR_STEPS, AOT_PAIR_STEP) AOT_CHAIN_END);
}

#define AOT_PAIR_FINISH_BEGIN           \
  "sub r7, r7, r6\n\t"                  \
  "sub r11, r11, r10\n\t"                  \
  "sub r9, r9, r8\n\t"               \
  "sub lr, lr, r12\n\t"

#define AOT_PAIR_FINISH_END             \
  "ldrd r4, r5, [sp, #12]\n\t"          \
  "strb r6, [r4], #1\n\t"               \
  "strb r10, [r5], #1\n\t"              \
  "strb r7, [r4], #1\n\t"               \
  "strb r11, [r5], #1\n\t"              \
  "strb r8, [r4], #1\n\t"               \
  "strb r12, [r5], #1\n\t"              \
  "strb r9, [r4], #1\n\t"               \
  "strb lr, [r5], #1\n\t"               \
  "strd r4, r5, [sp, #12]\n\t"          \
  "ldr r2, [sp, #20]\n\t"               \
  "cmp r0, r2\n\t"                      \
  "beq 3f\n\t"                          \
  AOT_PAIR_START                        \
  "3: add sp, sp, #32\n\t"              \
  "pop {r4-r11, pc}\n\t"

/* One channel at two positions; `align` brings its sum to the common right shift. */
#define AOT_PAIR_SHIFTED(align, sum0, sum1, end_shift)          \
  "ldm r0!, {r1, r2, r3}\n\t"                                   \
  align " " sum0 ", " sum0 ", r3\n\t"                           \
  align " " sum1 ", " sum1 ", r3\n\t"                           \
  "smmla " sum0 ", " sum0 ", r1, r2\n\t"                        \
  "smmla " sum1 ", " sum1 ", r1, r2\n\t"                        \
  "ssat " sum0 ", #8, " sum0 ", asr #" end_shift "\n\t"         \
  "ssat " sum1 ", #8, " sum1 ", asr #" end_shift "\n\t"

#define AOT_PAIR_SHIFTED_FUNCTION(end_shift)                                              \
  AOT_NAKED void aot_pair_shifted_##end_shift(void) {                                     \
    __asm__ volatile(AOT_PAIR_FINISH_BEGIN                                                \
                     AOT_PAIR_SHIFTED("lsl", "r6", "r10", AOT_TEXT(end_shift))             \
                     AOT_PAIR_SHIFTED("asr", "r7", "r11", AOT_TEXT(end_shift))             \
                     AOT_PAIR_SHIFTED("lsl", "r8", "r12", AOT_TEXT(end_shift))           \
                     AOT_PAIR_SHIFTED("asr", "r9", "lr", AOT_TEXT(end_shift))            \
                     AOT_PAIR_FINISH_END);                                                \
  }

/* One channel at two positions; `twice` turns its sum into twice the sum, for the doubling product. The last
 * rounding is away from zero: one less where the sum is negative. */
#define AOT_PAIR_SIGNED(twice, sum0, sum1)                      \
  "ldm r0!, {r1, r2, r4}\n\t"                                   \
  twice("r3", sum0)                                             \
  "smmlar " sum0 ", r3, r1, r2\n\t"                             \
  "add " sum0 ", " sum0 ", r3, asr #31\n\t"                     \
  twice("r3", sum1)                                             \
  "smmlar " sum1 ", r3, r1, r2\n\t"                             \
  "add " sum1 ", " sum1 ", r3, asr #31\n\t"                     \
  "asr " sum0 ", " sum0 ", r4\n\t"                              \
  "asr " sum1 ", " sum1 ", r4\n\t"                              \
  "ssat " sum0 ", #8, " sum0 "\n\t"                             \
  "ssat " sum1 ", #8, " sum1 "\n\t"

#define AOT_TWICE_LOW(to, sum) "lsl " to ", " sum ", #1\n\t"
#define AOT_TWICE_HIGH(to, sum) "asr " to ", " sum ", #7\n\t"

AOT_NAKED void aot_pair_signed(void) {
  __asm__ volatile(AOT_PAIR_FINISH_BEGIN                              /**/
                   AOT_PAIR_SIGNED(AOT_TWICE_LOW, "r6", "r10")         /**/
                   AOT_PAIR_SIGNED(AOT_TWICE_HIGH, "r7", "r11")        /**/
                   AOT_PAIR_SIGNED(AOT_TWICE_LOW, "r8", "r12")       /**/
                   AOT_PAIR_SIGNED(AOT_TWICE_HIGH, "r9", "lr")       /**/
                   AOT_PAIR_FINISH_END);
}

/* --- One position: a in r10, a + 256 b in r11, c in r12, c + 256 d in lr. --- */

#define AOT_SINGLE_START                \
  "ldm r0!, {r10, r11, r12, lr}\n\t"    \
  "ldr r1, [sp]\n\t"                    \
  "ldr pc, [sp, #24]\n\t"

/* Four inputs, whose widened words are x0 and x1, of four channels. */
#define AOT_SINGLE_HALF_STEP(x0, x1)    \
  "ldm.w r0!, {r2-r5}\n\t"              \
  "smlad r11, r2, " x0 ", r11\n\t"      \
  "smlad lr, r3, " x0 ", lr\n\t"        \
  "smlad r11, r4, " x1 ", r11\n\t"      \
  "smlad lr, r5, " x1 ", lr\n\t"        \
  "sxtb16 r2, r2\n\t"                   \
  "sxtb16 r3, r3\n\t"                   \
  "sxtb16 r4, r4\n\t"                   \
  "sxtb16 r5, r5\n\t"                   \
  "smlad r10, r2, " x0 ", r10\n\t"      \
  "smlad r12, r3, " x0 ", r12\n\t"      \
  "smlad r10, r4, " x1 ", r10\n\t"      \
  "smlad r12, r5, " x1 ", r12\n\t"

/* Eight inputs: 32 products in 27 instructions of 4 bytes each. */
#define AOT_SINGLE_STEP_BYTES 108u
#define AOT_SINGLE_STEP                 \
  "ldm.w r1!, {r6-r9}\n\t"              \
  AOT_SINGLE_HALF_STEP("r6", "r7")      \
  AOT_SINGLE_HALF_STEP("r8", "r9")

#define AOT_SINGLE_STEPS 8

AOT_NAKED void aot_matmul_single_chain(void) {
  __asm__ volatile(AOT_CHAIN_BEGIN AOT_SINGLE_START AOT_CHAIN(AOT_SINGLE_STEPS, AOT_SINGLE_STEP) AOT_CHAIN_END);
}

/* The same from eight int8 at a word address: 31 instructions. */
#define AOT_DIRECT_STEP_BYTES 124u
#define AOT_DIRECT_STEP                 \
  "ldrd r6, r8, [r1], #8\n\t"           \
  "sxtb16 r7, r6, ror #8\n\t"           \
  "sxtb16.w r6, r6\n\t"                 \
  "sxtb16 r9, r8, ror #8\n\t"           \
  "sxtb16 r8, r8\n\t"                   \
  AOT_SINGLE_HALF_STEP("r6", "r7")      \
  AOT_SINGLE_HALF_STEP("r8", "r9")

AOT_NAKED void aot_matmul_direct_chain(void) {
  __asm__ volatile(AOT_CHAIN_BEGIN AOT_SINGLE_START AOT_CHAIN(AOT_SINGLE_STEPS, AOT_DIRECT_STEP) AOT_CHAIN_END);
}

#define AOT_SINGLE_FINISH_BEGIN         \
  "ldr r4, [sp, #12]\n\t"               \
  "sub r11, r11, r10\n\t"               \
  "sub lr, lr, r12\n\t"

#define AOT_SINGLE_FINISH_END           \
  "str r4, [sp, #12]\n\t"               \
  "ldr r2, [sp, #20]\n\t"               \
  "cmp r0, r2\n\t"                      \
  "beq 3f\n\t"                          \
  AOT_SINGLE_START                      \
  "3: add sp, sp, #32\n\t"              \
  "pop {r4-r11, pc}\n\t"

#define AOT_SINGLE_SHIFTED(align, sum, end_shift)               \
  "ldm r0!, {r1, r2, r3}\n\t"                                   \
  align " " sum ", " sum ", r3\n\t"                             \
  "smmla " sum ", " sum ", r1, r2\n\t"                          \
  "ssat " sum ", #8, " sum ", asr #" end_shift "\n\t"           \
  "strb " sum ", [r4], #1\n\t"

#define AOT_SINGLE_SHIFTED_FUNCTION(end_shift)                                            \
  AOT_NAKED void aot_single_shifted_##end_shift(void) {                                   \
    __asm__ volatile(AOT_SINGLE_FINISH_BEGIN                                              \
                     AOT_SINGLE_SHIFTED("lsl", "r10", AOT_TEXT(end_shift))                \
                     AOT_SINGLE_SHIFTED("asr", "r11", AOT_TEXT(end_shift))                \
                     AOT_SINGLE_SHIFTED("lsl", "r12", AOT_TEXT(end_shift))                \
                     AOT_SINGLE_SHIFTED("asr", "lr", AOT_TEXT(end_shift))                 \
                     AOT_SINGLE_FINISH_END);                                              \
  }

#define AOT_SINGLE_SIGNED(twice, sum)                           \
  "ldm r0!, {r1, r2, r3}\n\t"                                   \
  twice("r5", sum)                                              \
  "smmlar " sum ", r5, r1, r2\n\t"                              \
  "add " sum ", " sum ", r5, asr #31\n\t"                       \
  "asr " sum ", " sum ", r3\n\t"                                \
  "ssat " sum ", #8, " sum "\n\t"                               \
  "strb " sum ", [r4], #1\n\t"

AOT_NAKED void aot_single_signed(void) {
  __asm__ volatile(AOT_SINGLE_FINISH_BEGIN                            /**/
                   AOT_SINGLE_SIGNED(AOT_TWICE_LOW, "r10")            /**/
                   AOT_SINGLE_SIGNED(AOT_TWICE_HIGH, "r11")           /**/
                   AOT_SINGLE_SIGNED(AOT_TWICE_LOW, "r12")            /**/
                   AOT_SINGLE_SIGNED(AOT_TWICE_HIGH, "lr")            /**/
                   AOT_SINGLE_FINISH_END);
}

/* One function per common right shift; those that no layer names are not compiled. */
#define AOT_SHIFTED_FUNCTIONS(end_shift) \
  AOT_PAIR_SHIFTED_FUNCTION(end_shift)   \
  AOT_SINGLE_SHIFTED_FUNCTION(end_shift)

AOT_SHIFTED_FUNCTIONS(4)
AOT_SHIFTED_FUNCTIONS(5)
AOT_SHIFTED_FUNCTIONS(6)
AOT_SHIFTED_FUNCTIONS(7)
AOT_SHIFTED_FUNCTIONS(8)
AOT_SHIFTED_FUNCTIONS(9)
AOT_SHIFTED_FUNCTIONS(10)
AOT_SHIFTED_FUNCTIONS(11)
AOT_SHIFTED_FUNCTIONS(12)
AOT_SHIFTED_FUNCTIONS(13)
AOT_SHIFTED_FUNCTIONS(14)
AOT_SHIFTED_FUNCTIONS(15)
AOT_SHIFTED_FUNCTIONS(16)
AOT_SHIFTED_FUNCTIONS(17)
AOT_SHIFTED_FUNCTIONS(18)

#define AOT_FINISH_PAIR_SHIFTED(shift) aot_pair_shifted_##shift
#define AOT_FINISH_PAIR_SIGNED aot_pair_signed
#define AOT_FINISH_SINGLE_SHIFTED(shift) aot_single_shifted_##shift
#define AOT_FINISH_SINGLE_SIGNED aot_single_signed

#endif
