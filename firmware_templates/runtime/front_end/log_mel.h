/* SPDX-License-Identifier: Apache-2.0 */
/* One frame of samples -> one row of levels, in integers. */
#ifndef MCU_SER_FRONT_END_LOG_MEL_H
#define MCU_SER_FRONT_END_LOG_MEL_H

#include <stdint.h>

/* Levels of the FRONT_END_MELS bands of FRONT_END_FFT samples: log2 of power in steps of 2^-10, counted from
 * just below the floor under the logarithm; 0 to 2^15 - 1. */
void log_mel_row(const int16_t *samples, uint16_t *row);

#endif
