/* SPDX-License-Identifier: Apache-2.0 */
/* The power spectrum of one frame, in integers. */
#ifndef MCU_SER_FRONT_END_SPECTRUM_H
#define MCU_SER_FRONT_END_SPECTRUM_H

#include <stdint.h>

/* Power of bins 0 to 255 (at most 2^47) of FRONT_END_FFT samples, which are windowed here. The result is
 * valid until the next call. */
const uint64_t *spectrum_power(const int16_t *samples);

#endif
