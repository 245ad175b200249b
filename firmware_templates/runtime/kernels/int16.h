/* SPDX-License-Identifier: Apache-2.0 */
/* What the kernels of 16-bit activations share. These have zero point 0, so that taps outside of an image add
 * nothing; weights are int8, biases and sums int64. */
#ifndef AOT_INT16_H
#define AOT_INT16_H

#include "kernel.h"

/* An activation, which lies in an array of int8_t. */
typedef int16_t aot_int16 __attribute__((may_alias));

/* From sums to int16: output = clamp(sum * multiplier / 2^shift, min, max), rounded once, ties upwards. */
struct aot_int16_rescale {
  const int16_t *multiplier; /* one, or one per channel; not negative */
  const int8_t *shift;       /* as many; 8 .. 46 */
  int32_t per_channel;       /* 1 if there is one multiplier per channel, else 0 */
  int32_t min;
  int32_t max;
};

/* The output of one sum of one channel; the generator has proven that the scaled sum fits int32_t. */
AOT_INLINE int16_t aot_int16_output(const struct aot_int16_rescale *rescale, int64_t sum, int32_t channel) {
  const int32_t at = rescale->per_channel ? channel : 0;
  const int32_t shift = rescale->shift[at];
  const int64_t scaled = (sum * rescale->multiplier[at] + (INT64_C(1) << (shift - 1))) >> shift;
  return (int16_t)aot_clamp((int32_t)scaled, rescale->min, rescale->max);
}

#endif
