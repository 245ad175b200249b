/* SPDX-License-Identifier: Apache-2.0 */
/* The inputs under the windows of several output pixels that follow each other: conv_2d_sparse.h and
 * conv_2d_unstructured.h compute so many at once. No dilation. */
#ifndef AOT_SPARSE_WINDOWS_H
#define AOT_SPARSE_WINDOWS_H

#include "kernel.h"

#define AOT_MOST_WINDOWS 8

struct aot_window_images {
  struct aot_image input;
  struct aot_image output;
  struct aot_window window;
};

/* Upper left tap of each window, and whether all of them lie inside the image. */
struct aot_windows {
  int32_t y[AOT_MOST_WINDOWS];
  int32_t x[AOT_MOST_WINDOWS];
  int32_t inside;
};

/* The windows of `count` output pixels from `pixel` on. */
AOT_INLINE struct aot_windows aot_find_windows(const struct aot_window_images *layer, int32_t pixel, int32_t count) {
  const struct aot_window *const window = &layer->window;
  struct aot_windows found;
  int32_t row = pixel / layer->output.width;
  int32_t column = pixel - row * layer->output.width;
  found.inside = 1;
  for (int32_t i = 0; i < count; ++i) {
    found.y[i] = row * window->stride_height - window->pad_top;
    found.x[i] = column * window->stride_width - window->pad_left;
    found.inside &= found.y[i] >= 0 && found.x[i] >= 0 && found.y[i] + window->height <= layer->input.height &&
                    found.x[i] + window->width <= layer->input.width;
    if (++column == layer->output.width) {
      column = 0;
      ++row;
    }
  }
  return found;
}

/* Where the first row of each window begins; the pixels of a row follow each other. */
AOT_INLINE void aot_first_rows(const int8_t **rows, const struct aot_window_images *layer, const int8_t *input,
                               const struct aot_windows *windows, int32_t count) {
  for (int32_t i = 0; i < count; ++i) {
    rows[i] = input + (windows->y[i] * layer->input.width + windows->x[i]) * layer->input.channels;
  }
}

/* One row further down in each window. */
AOT_INLINE void aot_next_rows(const int8_t **rows, const struct aot_window_images *layer, int32_t count) {
  for (int32_t i = 0; i < count; ++i) {
    rows[i] += layer->input.width * layer->input.channels;
  }
}

/* The pixel of each window at one tap; `outside` is a pixel of the border. */
AOT_INLINE void aot_tap_pixels(const int8_t **pixels, const struct aot_window_images *layer, const int8_t *input,
                               const int8_t *outside, const struct aot_windows *windows, int32_t y, int32_t x,
                               int32_t count) {
  const struct aot_image *const size = &layer->input;
  for (int32_t i = 0; i < count; ++i) {
    const int32_t row = windows->y[i] + y, column = windows->x[i] + x;
    const int32_t inside = row >= 0 && row < size->height && column >= 0 && column < size->width;
    pixels[i] = inside ? input + (row * size->width + column) * size->channels : outside;
  }
}

#endif
