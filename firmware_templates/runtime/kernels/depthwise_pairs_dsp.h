/* SPDX-License-Identifier: Apache-2.0 */
/* All channels of one pixel of depthwise_pairs.h on a core with DSP instructions.
 *
 * The functions are naked. r0 walks the taps, r1 the stream, r2 is where the channels lie behind the taps, r3
 * the end of the taps, r4 - r7 the sums; saved are [sp] taps, +4 output, +8 its end. */
#ifndef AOT_DEPTHWISE_PAIRS_DSP_H
#define AOT_DEPTHWISE_PAIRS_DSP_H

#include "dsp.h"

/* The sums of four channels: r12, r11, r10 and r8 become one word per channel. */
#define AOT_GROUP_SUMS                        \
  "1: ldm r1!, {r4-r7}\n\t"                   \
  "2: ldrd r8, r9, [r0], #8\n\t"              \
  "ldr r8, [r8, r2]\n\t"                      \
  "ldr r9, [r9, r2]\n\t"                      \
  "sxtb16 r10, r8\n\t"                        \
  "sxtb16 r11, r9\n\t"                        \
  "sxtb16 r8, r8, ror #8\n\t"                 \
  "sxtb16 r9, r9, ror #8\n\t"                 \
  "pkhbt r12, r10, r11, lsl #16\n\t"          \
  "pkhtb r10, r11, r10, asr #16\n\t"          \
  "pkhbt r11, r8, r9, lsl #16\n\t"            \
  "pkhtb r8, r9, r8, asr #16\n\t"             \
  "ldrd r9, lr, [r1], #8\n\t"                 \
  "smlad r4, r12, r9, r4\n\t"                 \
  "smlad r5, r11, lr, r5\n\t"                 \
  "ldrd r9, lr, [r1], #8\n\t"                 \
  "smlad r6, r10, r9, r6\n\t"                 \
  "smlad r7, r8, lr, r7\n\t"                  \
  "cmp r0, r3\n\t"                            \
  "bne 2b\n\t"

/* The lowest byte of r12 is the shift. */
#define AOT_GROUP_STORE(sum)                  \
  "asr " sum ", " sum ", r12\n\t"             \
  "ssat " sum ", #8, " sum "\n\t"             \
  "strb " sum ", [r8], #1\n\t"

#define AOT_GROUP_SHIFTED(sum, multiplier, constant) \
  "smmla " sum ", " sum ", " multiplier ", " constant "\n\t"
#define AOT_GROUP_SIGNED(sum, multiplier, constant)             \
  "smmlar lr, " sum ", " multiplier ", " constant "\n\t"        \
  "add " sum ", lr, " sum ", asr #31\n\t"

#define AOT_PIXEL(scaled)                     \
  "push {r4-r11, lr}\n\t"                     \
  "ldm r0, {r0-r5}\n\t"                       \
  "push {r0, r4, r5}\n\t"                     \
  AOT_GROUP_SUMS                              \
  "ldm r1!, {r8-r11}\n\t"                     \
  scaled("r4", "r8", "r9")                    \
  scaled("r5", "r10", "r11")                  \
  "ldm r1!, {r8-r12}\n\t"                     \
  scaled("r6", "r8", "r9")                    \
  scaled("r7", "r10", "r11")                  \
  "ldrd r8, r9, [sp, #4]\n\t"                 \
  AOT_GROUP_STORE("r4")                       \
  "lsr r12, r12, #8\n\t"                      \
  AOT_GROUP_STORE("r5")                       \
  "lsr r12, r12, #8\n\t"                      \
  AOT_GROUP_STORE("r6")                       \
  "lsr r12, r12, #8\n\t"                      \
  AOT_GROUP_STORE("r7")                       \
  "ldr r0, [sp]\n\t"                          \
  "add r2, r2, #4\n\t"                        \
  "str r8, [sp, #4]\n\t"                      \
  "cmp r8, r9\n\t"                            \
  "bne 1b\n\t"                                \
  "add sp, sp, #12\n\t"                       \
  "pop {r4-r11, pc}\n\t"

AOT_NAKED void aot_depthwise_pixel_shifted(void) { __asm__ volatile(AOT_PIXEL(AOT_GROUP_SHIFTED)); }
AOT_NAKED void aot_depthwise_pixel_signed(void) { __asm__ volatile(AOT_PIXEL(AOT_GROUP_SIGNED)); }

#define AOT_DEPTHWISE_PIXEL_SHIFTED aot_depthwise_pixel_shifted
#define AOT_DEPTHWISE_PIXEL_SIGNED aot_depthwise_pixel_signed

typedef void (*aot_depthwise_groups)(void);

AOT_INLINE void aot_depthwise_run_groups(aot_depthwise_groups groups, const struct aot_depthwise_pixel *pixel) {
  aot_call(groups, pixel);
}

#endif
