/* SPDX-License-Identifier: Apache-2.0 */
/* step    value                                      bits  how it is rounded
 * bands   sum of power * weight, weights Q15         62    exact
 * log2    of band + floor: its top bit, then 6 bits  20    Q15; linear between the 65 entries, down
 *         of a table and 16 bits between entries
 * level   (log2 - floor's) in steps of 2^-10         15    nearest, ties up */
#include "log_mel.h"

#include "front_end_tables.h"
#include "spectrum.h"

/* 1.0 in Q15; how far Q15 is shifted to steps of 2^-10, and half of such a step. */
#define LOG_ONE ((int32_t)1 << 15)
enum { LEVEL_SHIFT = 5, LEVEL_HALF = 1 << (LEVEL_SHIFT - 1) };

/* Sum of `count` powers times their weights. Upper and lower halves are summed apart: that is one
 * multiplication each. The upper sum stays below 2^30, because no band can hold more than 2^62. */
static uint64_t band_power(const uint64_t *power, const uint16_t *weights, uint32_t count) {
  uint64_t low = 0;
  uint32_t high = 0;
  for (uint32_t i = 0; i < count; i++) {
    const uint32_t weight = weights[i];
    low += (power[i] & UINT32_MAX) * weight;
    high += (uint32_t)(power[i] >> 32) * weight;
  }
  return low + ((uint64_t)high << 32);
}

/* log2 in Q15, less than 2^-13 off; value >= 1. */
static int32_t log2_q15(uint64_t value) {
  const int32_t leading_zeros = __builtin_clzll(value);
  /* The highest bit is bit 31 now. */
  const uint32_t mantissa = (uint32_t)(value << leading_zeros >> 32);
  const uint16_t *entry = &front_end_log2[(mantissa >> 25) & 63u];
  const uint32_t between = (mantissa >> 9) & 0xFFFFu;
  const uint32_t fraction = entry[0] + (((uint32_t)entry[1] - entry[0]) * between >> 16);
  return (63 - leading_zeros) * LOG_ONE + (int32_t)fraction;
}

void log_mel_row(const int16_t *samples, uint16_t *row) {
  const uint64_t *power = spectrum_power(samples);
  const uint16_t *weights = front_end_weights;
  for (uint32_t band = 0; band < FRONT_END_MELS; band++) {
    const uint32_t count = front_end_bands[band].count;
    const uint64_t sum = band_power(power + front_end_bands[band].first, weights, count);
    const int32_t above = log2_q15(sum + FRONT_END_FLOOR) - FRONT_END_FLOOR_LOG2 * LOG_ONE;
    row[band] = (uint16_t)((above + LEVEL_HALF) >> LEVEL_SHIFT);
    weights += count;
  }
}
