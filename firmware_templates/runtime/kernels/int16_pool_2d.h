/* SPDX-License-Identifier: Apache-2.0 */
/* AVERAGE_POOL_2D and MAX_POOL_2D of 16-bit activations. */
#ifndef AOT_INT16_POOL_2D_H
#define AOT_INT16_POOL_2D_H

#include "int16.h"

struct aot_int16_pool_2d {
  struct aot_image input;
  struct aot_image output;
  struct aot_window window; /* dilation 1 */
  int32_t average;          /* 1 for the average of the taps inside the image, 0 for the greatest */
  int32_t min;
  int32_t max;
};

/* The average, to the nearest and ties away from zero, or the greatest of the taps of one channel. */
AOT_INLINE int32_t aot_int16_pool_taps(const struct aot_int16_pool_2d *layer, const aot_int16 *channel,
                                       const struct aot_pixel_taps *taps) {
  const int32_t count = (taps->rows.end - taps->rows.first) * (taps->columns.end - taps->columns.first);
  int32_t result = layer->average ? 0 : INT16_MIN;
  for (int32_t row = taps->rows.first; row < taps->rows.end; ++row) {
    for (int32_t column = taps->columns.first; column < taps->columns.end; ++column) {
      const int32_t pixel = (taps->origin_y + row) * layer->input.width + taps->origin_x + column;
      const int32_t value = channel[pixel * layer->input.channels];
      result = layer->average ? result + value : aot_max(result, value);
    }
  }
  return layer->average ? (result > 0 ? result + count / 2 : result - count / 2) / count : result;
}

AOT_INLINE void aot_int16_pool_2d(const struct aot_int16_pool_2d *layer, const void *restrict input,
                                  void *restrict output) {
  aot_int16 *result = (aot_int16 *)output;
  for (int32_t y = 0; y < layer->output.height; ++y) {
    for (int32_t x = 0; x < layer->output.width; ++x) {
      const struct aot_pixel_taps taps = aot_taps_of_pixel(&layer->window, &layer->input, y, x);
      for (int32_t channel = 0; channel < layer->output.channels; ++channel) {
        const int32_t value = aot_int16_pool_taps(layer, (const aot_int16 *)input + channel, &taps);
        *result++ = (int16_t)aot_clamp(value, layer->min, layer->max);
      }
    }
  }
}

#endif
