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

/* Sum, or greatest, of the taps of one channel; the window's tap 0 lies at row origin_y, column origin_x. */
AOT_INLINE int32_t aot_pool_taps(const struct aot_pool_2d *layer, const int8_t *channel, int32_t origin_y,
                                 struct aot_taps rows, int32_t origin_x, struct aot_taps columns,
                                 int32_t average) {
  int32_t result = average ? 0 : INT8_MIN;
  for (int32_t row = rows.first; row < rows.end; ++row) {
    for (int32_t column = columns.first; column < columns.end; ++column) {
      const int32_t pixel = (origin_y + row) * layer->input.width + origin_x + column;
      const int32_t value = channel[pixel * layer->input.channels];
      result = average ? result + value : aot_max(result, value);
    }
  }
  return result;
}

AOT_INLINE void aot_pool_2d(const struct aot_pool_2d *layer, const int8_t *restrict input,
                            int8_t *restrict output, int32_t average) {
  const struct aot_window *window = &layer->window;
  for (int32_t out_y = 0; out_y < layer->output.height; ++out_y) {
    const int32_t origin_y = out_y * window->stride_height - window->pad_top;
    const struct aot_taps rows = aot_taps_inside(origin_y, window->height, 1, layer->input.height);
    for (int32_t out_x = 0; out_x < layer->output.width; ++out_x) {
      const int32_t origin_x = out_x * window->stride_width - window->pad_left;
      const struct aot_taps columns = aot_taps_inside(origin_x, window->width, 1, layer->input.width);
      const int32_t count = (rows.end - rows.first) * (columns.end - columns.first);
      for (int32_t channel = 0; channel < layer->output.channels; ++channel) {
        const int32_t value =
            aot_pool_taps(layer, input + channel, origin_y, rows, origin_x, columns, average);
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
