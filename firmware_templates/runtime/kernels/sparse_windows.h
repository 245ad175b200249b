/* SPDX-License-Identifier: Apache-2.0 */
/* The inputs under the windows of several output pixels that follow each other, widened side by side:
 * conv_2d_sparse.h and conv_2d_unstructured.h compute so many at once. No dilation. */
#ifndef AOT_SPARSE_WINDOWS_H
#define AOT_SPARSE_WINDOWS_H

#include "dsp.h"

#define AOT_MOST_WINDOWS 8

struct aot_window_images {
  struct aot_image input;
  struct aot_image output;
  struct aot_window window;
};

/* Upper left tap of each window, its place in the input, and whether all of them lie inside the image. */
struct aot_windows {
  int32_t y[AOT_MOST_WINDOWS];
  int32_t x[AOT_MOST_WINDOWS];
  int32_t place[AOT_MOST_WINDOWS];
  int32_t inside;
};

/* Widens `count` bytes of so many rows as the kernel has windows; returns the end of what it wrote. */
typedef aot_word *(*aot_widen_rows)(aot_word *wide, const int8_t *const *rows, int32_t count);

/* The windows of `count` output pixels from `pixel` on. */
AOT_INLINE void aot_find_windows(struct aot_windows *found, const struct aot_window_images *layer, int32_t pixel,
                                 int32_t count) {
  const struct aot_window *const window = &layer->window;
  const int32_t lowest = layer->input.height - window->height, rightmost = layer->input.width - window->width;
  const int32_t row = pixel / layer->output.width;
  int32_t column = pixel - row * layer->output.width;
  int32_t y = row * window->stride_height - window->pad_top;
  int32_t x = column * window->stride_width - window->pad_left;
  int32_t inside = 1;
  AOT_UNROLL(8)
  for (int32_t i = 0; i < count; ++i) {
    found->y[i] = y;
    found->x[i] = x;
    found->place[i] = (y * layer->input.width + x) * layer->input.channels;
    inside &= (y >= 0) & (x >= 0) & (y <= lowest) & (x <= rightmost);
    x += window->stride_width;
    if (++column == layer->output.width) {
      column = 0;
      x = -window->pad_left;
      y += window->stride_height;
    }
  }
  found->inside = inside;
}

/* Windows inside the image, row by row, whose pixels follow each other. */
AOT_INLINE void aot_widen_inside(const struct aot_window_images *layer, const int8_t *input,
                                 const struct aot_windows *windows, aot_word *wide, int32_t count,
                                 aot_widen_rows widen) {
  const int8_t *rows[AOT_MOST_WINDOWS];
  AOT_UNROLL(8)
  for (int32_t i = 0; i < count; ++i) {
    rows[i] = input + windows->place[i];
  }
  for (int32_t y = 0; y < layer->window.height; ++y) {
    wide = widen(wide, rows, layer->window.width * layer->input.channels);
    AOT_UNROLL(8)
    for (int32_t i = 0; i < count; ++i) {
      rows[i] += layer->input.width * layer->input.channels;
    }
  }
}

/* Windows of which some overlap the border, pixel by pixel; `outside` is a pixel of the border. */
AOT_INLINE void aot_widen_at_border(const struct aot_window_images *layer, const int8_t *input, const int8_t *outside,
                                    const struct aot_windows *windows, aot_word *wide, int32_t count,
                                    aot_widen_rows widen) {
  const struct aot_image *const size = &layer->input;
  int32_t tap = 0; /* its place from that of the window */
  for (int32_t y = 0; y < layer->window.height; ++y) {
    uint32_t columns[AOT_MOST_WINDOWS]; /* of the image in this row */
    AOT_UNROLL(8)
    for (int32_t i = 0; i < count; ++i) {
      columns[i] = (uint32_t)(windows->y[i] + y) < (uint32_t)size->height ? (uint32_t)size->width : 0;
    }
    for (int32_t x = 0; x < layer->window.width; ++x) {
      const int8_t *pixels[AOT_MOST_WINDOWS];
      AOT_UNROLL(8)
      for (int32_t i = 0; i < count; ++i) {
        pixels[i] = (uint32_t)(windows->x[i] + x) < columns[i] ? input + (windows->place[i] + tap) : outside;
      }
      wide = widen(wide, pixels, size->channels);
      tap += size->channels;
    }
    tap += (size->width - layer->window.width) * size->channels;
  }
}

/* All inputs under the windows of `count` output pixels from `pixel` on. */
AOT_INLINE void aot_widen_group(const struct aot_window_images *layer, const int8_t *input, const int8_t *outside,
                                int32_t pixel, aot_word *wide, int32_t count, aot_widen_rows widen) {
  struct aot_windows windows;
  aot_find_windows(&windows, layer, pixel, count);
  if (windows.inside) {
    aot_widen_inside(layer, input, &windows, wide, count, widen);
  } else {
    aot_widen_at_border(layer, input, outside, &windows, wide, count, widen);
  }
}

#endif
