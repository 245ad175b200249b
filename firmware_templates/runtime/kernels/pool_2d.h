/* SPDX-License-Identifier: Apache-2.0 */
/* AVERAGE_POOL_2D and MAX_POOL_2D: the quantisation of input and output is the same. */
#ifndef AOT_POOL_2D_H
#define AOT_POOL_2D_H

#include "kernel.h"

struct aot_pool_2d {
  struct aot_image input;
  struct aot_image output;
  struct aot_window window; /* dilation 1 */
  int32_t min;
  int32_t max;
};

/* Division of the sum by the number of taps inside the image, to the nearest, ties away from zero. */
AOT_INLINE int32_t aot_rounded_average(int32_t sum, int32_t count) {
  return (sum > 0 ? sum + count / 2 : sum - count / 2) / count;
}

/* Sum, or greatest, of the taps of one channel. */
AOT_INLINE int32_t aot_pool_taps(const struct aot_pool_2d *layer, const int8_t *channel,
                                 const struct aot_pixel_taps *taps, int32_t average) {
  int32_t result = average ? 0 : INT8_MIN;
  for (int32_t row = taps->rows.first; row < taps->rows.end; ++row) {
    for (int32_t column = taps->columns.first; column < taps->columns.end; ++column) {
      const int32_t pixel = (taps->origin_y + row) * layer->input.width + taps->origin_x + column;
      const int32_t value = channel[pixel * layer->input.channels];
      result = average ? result + value : aot_max(result, value);
    }
  }
  return result;
}

AOT_INLINE void aot_pool_2d(const struct aot_pool_2d *layer, const int8_t *restrict input,
                            int8_t *restrict output, int32_t average) {
  for (int32_t out_y = 0; out_y < layer->output.height; ++out_y) {
    for (int32_t out_x = 0; out_x < layer->output.width; ++out_x) {
      const struct aot_pixel_taps taps = aot_taps_of_pixel(&layer->window, &layer->input, out_y, out_x);
      const int32_t count = (taps.rows.end - taps.rows.first) * (taps.columns.end - taps.columns.first);
      for (int32_t channel = 0; channel < layer->output.channels; ++channel) {
        const int32_t value = aot_pool_taps(layer, input + channel, &taps, average);
        const int32_t result = average ? aot_rounded_average(value, count) : value;
        *output++ = (int8_t)aot_clamp(result, layer->min, layer->max);
      }
    }
  }
}

AOT_INLINE void aot_average_pool_2d(const struct aot_pool_2d *layer, const int8_t *restrict input,
                                    int8_t *restrict output) {
  aot_pool_2d(layer, input, output, 1);
}

AOT_INLINE void aot_max_pool_2d(const struct aot_pool_2d *layer, const int8_t *restrict input,
                                int8_t *restrict output) {
  aot_pool_2d(layer, input, output, 0);
}

#endif
