/* SPDX-License-Identifier: Apache-2.0 */
/* The tables that the generator makes of a recipe and a model. Qn is a fixed-point number with n fraction
 * bits. front_end_config.h has the sizes. */
#ifndef MCU_SER_FRONT_END_TABLES_H
#define MCU_SER_FRONT_END_TABLES_H

#include <stdint.h>

#include "front_end_config.h"

enum { FRONT_END_FFT = 512, FRONT_END_BINS = 256 };

/* A rotation by an angle: Q31, at most 2^31 - 1. */
struct front_end_twiddle {
  int32_t cos;
  int32_t sin;
};

/* A mel band: `count` weights from `first` bin on. */
struct front_end_band {
  uint16_t first;
  uint16_t count;
};

/* From levels to the model's input: round((level - mean) * gain / 2^24) + zero point. */
struct front_end_normalization {
  int32_t mean; /* in steps of 2^-10 in log2 of power */
  int32_t gain; /* Q24, int8 steps per level step */
};

/* Hann times 32767, then zeros. */
extern const int16_t front_end_window[FRONT_END_FFT];
/* Of the stages with spans of 4, 16 and 64 points, one after another: for each point those of the second,
 * third and fourth quarter. */
extern const struct front_end_twiddle front_end_stage_twiddles[3 * (4 + 16 + 64)];
/* exp(-2 pi j k / 512) for k = 1..127. */
extern const struct front_end_twiddle front_end_split_twiddles[127];
extern const struct front_end_band front_end_bands[FRONT_END_MELS];
/* Q15, the bands' weights one after another. */
extern const uint16_t front_end_weights[FRONT_END_WEIGHTS];
/* Q15, log2(1 + i / 64). */
extern const uint16_t front_end_log2[65];
extern const struct front_end_normalization front_end_normalizations[FRONT_END_MELS];

#endif
