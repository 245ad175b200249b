/* SPDX-License-Identifier: Apache-2.0 */
/* The rows of one channel of depthwise_3x3.h on a core with DSP instructions: tiles of up to 6 outputs whose
 * sums stay in registers. A row is some tiles of 6 (wide) and one tile of 1 to 6 (the only one if narrow).
 *
 * The functions are naked. Saved on the stack while they run, after `plane` and `row_bytes` of the job have
 * become r0 and r1:
 *   [sp] output, +4 channels, +8 multiplier, +12 constant, +16 3 * channels or shift, +20 5 * channels,
 *   +24 six words of weights, +48 bias, +52 end of the plane, +56 bytes of the wide tiles,
 *   +60 end of the wide tiles of this row, then r4 - r11 and lr.
 * r2 - r7 are the sums, r8 - r11 words of the plane, r12 and lr weights. r7 is the bias until its own sum
 * begins. */
#ifndef AOT_DEPTHWISE_3X3_DSP_H
#define AOT_DEPTHWISE_3X3_DSP_H

#include "dsp.h"

typedef void (*aot_depthwise_rows)(void);

AOT_INLINE void aot_depthwise_run(aot_depthwise_rows rows, const struct aot_depthwise_job *job,
                                  int32_t width) {
  (void)width;
  aot_call(rows, job);
}

/* One word of each plane from the pixels in r7 and r8 (even and odd channels of the left one) and r9 and r10
 * (of the right one). */
#define AOT_SPREAD_WORDS(even_left, odd_left, even_right, odd_right)          \
  "pkhbt r11, " even_left ", " even_right ", lsl #16\n\t"                     \
  "pkhtb r12, " even_right ", " even_left ", asr #16\n\t"                     \
  "str r12, [r1, r3, lsl #1]\n\t"                                            \
  "pkhbt r12, " odd_left ", " odd_right ", lsl #16\n\t"                       \
  "str r12, [r1, r3]\n\t"                                                    \
  "pkhtb r12, " odd_right ", " odd_left ", asr #16\n\t"                       \
  "str r12, [r1, r4]\n\t"                                                    \
  "str r11, [r1], #4\n\t"

/* Four channels of rows of the image: r0 walks the pixels, r1 the first plane; r2 channels, r3 plane_bytes,
 * r4 three_planes, r5 border, r6 rows; saved are [sp] skip_bytes, +4 pairs, +8 has_first, +12 has_last. */
AOT_NAKED void aot_spread_rows_dsp(void) {
  __asm__ volatile(
      "push {r4-r11, lr}\n\t"
      "add r1, r0, #28\n\t"
      "ldm r1, {r2-r5}\n\t"
      "push {r2-r5}\n\t"
      "ldm r0, {r0-r6}\n\t"
      "1: ldrd lr, r7, [sp, #4]\n\t"
      "cbz r7, 2f\n\t"
      "ldr r9, [r0]\n\t"
      "add r0, r0, r2\n\t"
      "sxtb16 r10, r9, ror #8\n\t"
      "sxtb16 r9, r9\n\t"
      AOT_SPREAD_WORDS("r5", "r5", "r9", "r10")
      "2: cmp lr, #0\n\t"
      "beq 4f\n\t"
      "3: ldr r7, [r0]\n\t"
      "ldr r9, [r0, r2]\n\t"
      "add r0, r0, r2, lsl #1\n\t"
      "sxtb16 r8, r7, ror #8\n\t"
      "sxtb16 r7, r7\n\t"
      "sxtb16 r10, r9, ror #8\n\t"
      "sxtb16 r9, r9\n\t"
      AOT_SPREAD_WORDS("r7", "r8", "r9", "r10")
      "subs lr, lr, #1\n\t"
      "bne 3b\n\t"
      "4: ldr r7, [sp, #12]\n\t"
      "cbz r7, 5f\n\t"
      "ldr r7, [r0]\n\t"
      "add r0, r0, r2\n\t"
      "sxtb16 r8, r7, ror #8\n\t"
      "sxtb16 r7, r7\n\t"
      AOT_SPREAD_WORDS("r7", "r8", "r5", "r5")
      "5: ldr r7, [sp]\n\t"
      "add r1, r1, r7\n\t"
      "subs r6, r6, #1\n\t"
      "bne 1b\n\t"
      "add sp, sp, #16\n\t"
      "pop {r4-r11, pc}\n\t");
}

AOT_INLINE void aot_spread_rows(const struct aot_spread_job *job) {
  aot_call(aot_spread_rows_dsp, job);
}

#define AOT_ROWS_BEGIN                    \
  "push {r4-r11, lr}\n\t"                 \
  "ldm r0!, {r1, r2}\n\t"                 \
  "mov r12, r1\n\t"                       \
  "mov lr, r2\n\t"                        \
  "add r0, r0, #32\n\t"                   \
  "ldm r0, {r1-r7}\n\t"                   \
  "sub sp, sp, #4\n\t"                    \
  "push {r1-r7}\n\t"                      \
  "sub r0, r0, #32\n\t"                   \
  "ldm r0, {r1-r8}\n\t"                   \
  "push {r1-r8}\n\t"                      \
  "mov r0, r12\n\t"                       \
  "mov r1, lr\n\t"                        \
  "ldr r7, [sp, #48]\n\t"

#define AOT_ROWS_END                      \
  "add sp, sp, #64\n\t"                   \
  "pop {r4-r11, pc}\n\t"

/* Output 0, 2, 4: taps 0 and 1 are one word, tap 2 the lower half of the next. Output 1, 3, 5: tap 0 is the
 * upper half of a word, taps 1 and 2 are the next. `start` is the sum before. */
#define AOT_TAPS_EVEN(sum, start, x0, x1)               \
  "smlad " sum ", r12, " x0 ", " start "\n\t"           \
  "smlatb " sum ", lr, " x1 ", " sum "\n\t"
#define AOT_TAPS_ODD(sum, start, x0, x1)                \
  "smlabt " sum ", r12, " x0 ", " start "\n\t"          \
  "smlad " sum ", lr, " x1 ", " sum "\n\t"

#define AOT_TAPS_1(s2, s3, s4, s5, s6) AOT_TAPS_EVEN("r2", s2, "r8", "r9")
#define AOT_TAPS_2(s2, s3, s4, s5, s6) AOT_TAPS_1(s2, s3, s4, s5, s6) AOT_TAPS_ODD("r3", s3, "r8", "r9")
#define AOT_TAPS_3(s2, s3, s4, s5, s6) AOT_TAPS_2(s2, s3, s4, s5, s6) AOT_TAPS_EVEN("r4", s4, "r9", "r10")
#define AOT_TAPS_4(s2, s3, s4, s5, s6) AOT_TAPS_3(s2, s3, s4, s5, s6) AOT_TAPS_ODD("r5", s5, "r9", "r10")
#define AOT_TAPS_5(s2, s3, s4, s5, s6) AOT_TAPS_4(s2, s3, s4, s5, s6) AOT_TAPS_EVEN("r6", s6, "r10", "r11")
#define AOT_TAPS_6(s2, s3, s4, s5, s6) AOT_TAPS_5(s2, s3, s4, s5, s6) AOT_TAPS_ODD("r7", "r7", "r10", "r11")

/* All taps of a tile; r0 ends at its last row. */
#define AOT_TILE(count)                                           \
  "ldm r0, {r8-r11}\n\t"                                          \
  "ldrd r12, lr, [sp, #24]\n\t"                                   \
  AOT_TAPS_##count("r7", "r7", "r7", "r7", "r7")                  \
  "add r0, r0, r1\n\t"                                            \
  "ldm r0, {r8-r11}\n\t"                                          \
  "ldrd r12, lr, [sp, #32]\n\t"                                   \
  AOT_TAPS_##count("r2", "r3", "r4", "r5", "r6")                  \
  "add r0, r0, r1\n\t"                                            \
  "ldm r0, {r8-r11}\n\t"                                          \
  "ldrd r12, lr, [sp, #40]\n\t"                                   \
  AOT_TAPS_##count("r2", "r3", "r4", "r5", "r6")

/* From sums to int8, the shifted way. */
#define AOT_STORE_SHIFTED(sum, end_shift, address)                \
  "smmla " sum ", " sum ", r10, r11\n\t"                          \
  "ssat " sum ", #8, " sum ", asr #" end_shift "\n\t"             \
  "strb " sum ", " address "\n\t"
#define AOT_STORE_SHIFTED_1(e) AOT_STORE_SHIFTED("r2", e, "[r8]")
#define AOT_STORE_SHIFTED_2(e) AOT_STORE_SHIFTED_1(e) AOT_STORE_SHIFTED("r3", e, "[r8, r9]")
#define AOT_STORE_SHIFTED_3(e) AOT_STORE_SHIFTED_2(e) AOT_STORE_SHIFTED("r4", e, "[r8, r9, lsl #1]")
#define AOT_STORE_SHIFTED_4(e) AOT_STORE_SHIFTED_3(e) AOT_STORE_SHIFTED("r5", e, "[r8, r12]")
#define AOT_STORE_SHIFTED_5(e) AOT_STORE_SHIFTED_4(e) AOT_STORE_SHIFTED("r6", e, "[r8, r9, lsl #2]")
#define AOT_STORE_SHIFTED_6(e) AOT_STORE_SHIFTED_5(e) AOT_STORE_SHIFTED("r7", e, "[r8, lr]")
#define AOT_ADVANCE_1 "add r8, r8, r9\n\t"
#define AOT_ADVANCE_2 "add r8, r8, r9, lsl #1\n\t"
#define AOT_ADVANCE_3 "add r8, r8, r12\n\t"
#define AOT_ADVANCE_4 "add r8, r8, r9, lsl #2\n\t"
#define AOT_ADVANCE_5 "add r8, r8, lr\n\t"
#define AOT_ADVANCE_6 "add r8, r8, r12, lsl #1\n\t"
#define AOT_TILE_SHIFTED(count, end_shift)                        \
  AOT_TILE(count)                                                 \
  "ldm sp, {r8-r12, lr}\n\t"                                      \
  AOT_STORE_SHIFTED_##count(AOT_TEXT(end_shift))                  \
  AOT_ADVANCE_##count                                             \
  "str r8, [sp]\n\t"

/* From sums to int8, the signed way; r12 is the right shift. */
#define AOT_STORE_SIGNED(sum)                                     \
  "smmlar lr, " sum ", r10, r11\n\t"                              \
  "add lr, lr, " sum ", asr #31\n\t"                              \
  "asr lr, lr, r12\n\t"                                           \
  "ssat lr, #8, lr\n\t"                                           \
  "strb lr, [r8]\n\t"                                             \
  "add r8, r8, r9\n\t"
#define AOT_STORE_SIGNED_1 AOT_STORE_SIGNED("r2")
#define AOT_STORE_SIGNED_2 AOT_STORE_SIGNED_1 AOT_STORE_SIGNED("r3")
#define AOT_STORE_SIGNED_3 AOT_STORE_SIGNED_2 AOT_STORE_SIGNED("r4")
#define AOT_STORE_SIGNED_4 AOT_STORE_SIGNED_3 AOT_STORE_SIGNED("r5")
#define AOT_STORE_SIGNED_5 AOT_STORE_SIGNED_4 AOT_STORE_SIGNED("r6")
#define AOT_STORE_SIGNED_6 AOT_STORE_SIGNED_5 AOT_STORE_SIGNED("r7")
#define AOT_TILE_SIGNED(count, end_shift)                         \
  AOT_TILE(count)                                                 \
  "ldm sp, {r8-r12}\n\t"                                          \
  AOT_STORE_SIGNED_##count                                        \
  "str r8, [sp]\n\t"

/* The bias stays in r7 unless a sixth sum takes its place. */
#define AOT_BIAS_AFTER_1
#define AOT_BIAS_AFTER_2
#define AOT_BIAS_AFTER_3
#define AOT_BIAS_AFTER_4
#define AOT_BIAS_AFTER_5
#define AOT_BIAS_AFTER_6 "ldr r7, [sp, #48]\n\t"

#define AOT_ROWS_NARROW(count, way, end_shift)                    \
  AOT_ROWS_BEGIN                                                  \
  "1:\n\t"                                                        \
  AOT_TILE_##way(count, end_shift)                                \
  AOT_BIAS_AFTER_##count                                          \
  "sub r0, r0, r1\n\t"                                            \
  "ldr r8, [sp, #52]\n\t"                                         \
  "cmp r0, r8\n\t"                                                \
  "bne 1b\n\t"                                                    \
  AOT_ROWS_END

#define AOT_ROWS_WIDE(count, way, end_shift)                      \
  AOT_ROWS_BEGIN                                                  \
  "1: ldr r8, [sp, #56]\n\t"                                      \
  "add r8, r0, r8\n\t"                                            \
  "str r8, [sp, #60]\n\t"                                         \
  "2:\n\t"                                                        \
  AOT_TILE_##way(6, end_shift)                                    \
  "ldr r7, [sp, #48]\n\t"                                         \
  "sub r0, r0, r1, lsl #1\n\t"                                    \
  "add r0, r0, #12\n\t"                                           \
  "ldr r8, [sp, #60]\n\t"                                         \
  "cmp r0, r8\n\t"                                                \
  "bne 2b\n\t"                                                    \
  AOT_TILE_##way(count, end_shift)                                \
  AOT_BIAS_AFTER_##count                                          \
  "ldr r8, [sp, #56]\n\t"                                         \
  "sub r0, r0, r1\n\t"                                            \
  "sub r0, r0, r8\n\t"                                            \
  "ldr r8, [sp, #52]\n\t"                                         \
  "cmp r0, r8\n\t"                                                \
  "bne 1b\n\t"                                                    \
  AOT_ROWS_END

#define AOT_DEPTHWISE_SHIFTED(count, end_shift)                                  \
  AOT_NAKED void aot_depthwise_narrow_##count##_shifted_##end_shift(void) {      \
    __asm__ volatile(AOT_ROWS_NARROW(count, SHIFTED, end_shift));                \
  }                                                                              \
  AOT_NAKED void aot_depthwise_wide_##count##_shifted_##end_shift(void) {        \
    __asm__ volatile(AOT_ROWS_WIDE(count, SHIFTED, end_shift));                  \
  }

#define AOT_DEPTHWISE_SIGNED(count)                                              \
  AOT_NAKED void aot_depthwise_narrow_##count##_signed(void) {                   \
    __asm__ volatile(AOT_ROWS_NARROW(count, SIGNED, 0));                         \
  }                                                                              \
  AOT_NAKED void aot_depthwise_wide_##count##_signed(void) {                     \
    __asm__ volatile(AOT_ROWS_WIDE(count, SIGNED, 0));                           \
  }

/* One function per tile and common right shift; those that no layer names are not compiled. */
#define AOT_DEPTHWISE_FUNCTIONS(count) \
  AOT_DEPTHWISE_SHIFTED(count, 8)      \
  AOT_DEPTHWISE_SHIFTED(count, 9)      \
  AOT_DEPTHWISE_SHIFTED(count, 10)     \
  AOT_DEPTHWISE_SHIFTED(count, 11)     \
  AOT_DEPTHWISE_SHIFTED(count, 12)     \
  AOT_DEPTHWISE_SHIFTED(count, 13)     \
  AOT_DEPTHWISE_SHIFTED(count, 14)     \
  AOT_DEPTHWISE_SIGNED(count)

AOT_DEPTHWISE_FUNCTIONS(1)
AOT_DEPTHWISE_FUNCTIONS(2)
AOT_DEPTHWISE_FUNCTIONS(3)
AOT_DEPTHWISE_FUNCTIONS(4)
AOT_DEPTHWISE_FUNCTIONS(5)
AOT_DEPTHWISE_FUNCTIONS(6)

#define AOT_DEPTHWISE_NARROW_SHIFTED(last, end_shift) aot_depthwise_narrow_##last##_shifted_##end_shift
#define AOT_DEPTHWISE_WIDE_SHIFTED(last, end_shift) aot_depthwise_wide_##last##_shifted_##end_shift
#define AOT_DEPTHWISE_NARROW_SIGNED(last) aot_depthwise_narrow_##last##_signed
#define AOT_DEPTHWISE_WIDE_SIGNED(last) aot_depthwise_wide_##last##_signed

#endif
