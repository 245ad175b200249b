/* SPDX-License-Identifier: Apache-2.0 */
/* CONV_2D of 16-bit activations: each window is gathered into one row, zeros where it leaves the image. */
#ifndef AOT_INT16_CONV_2D_H
#define AOT_INT16_CONV_2D_H

#include "int16_matmul.h"

struct aot_int16_conv_2d {
  struct aot_image input;
  struct aot_image output;
  struct aot_window window;
  struct aot_int16_matmul matmul; /* depth: that of a window, rounded up */
};

/* The activations under the window of one pixel. */
AOT_INLINE void aot_int16_gather(const struct aot_int16_conv_2d *layer, const aot_int16 *input,
                                 const struct aot_pixel_taps *taps, aot_int16 *gathered) {
  const struct aot_window *window = &layer->window;
  const int32_t depth = layer->input.channels;
  const int32_t whole = taps->rows.first == 0 && taps->rows.end == window->height &&
                        taps->columns.first == 0 && taps->columns.end == window->width;
  if (!whole) {
    memset(gathered, 0, sizeof *gathered * (uint32_t)(window->height * window->width * depth));
  }
  for (int32_t row = taps->rows.first; row < taps->rows.end; ++row) {
    const int32_t y = taps->origin_y + row * window->dilation_height;
    const int32_t x = taps->origin_x + taps->columns.first * window->dilation_width;
    const aot_int16 *pixel = input + (y * layer->input.width + x) * depth;
    aot_int16 *place = gathered + (row * window->width + taps->columns.first) * depth;
    /* Without dilation the taps of one window row are one run. */
    const int32_t columns = aot_max(taps->columns.end - taps->columns.first, 0);
    const int32_t runs = window->dilation_width == 1 ? 1 : columns;
    const int32_t run = window->dilation_width == 1 ? columns * depth : depth;
    for (int32_t i = 0; i < runs; ++i) {
      memcpy(place, pixel, sizeof *place * (uint32_t)run);
      place += depth;
      pixel += window->dilation_width * depth;
    }
  }
}

AOT_INLINE void aot_int16_conv_2d(const struct aot_int16_conv_2d *layer, const void *restrict input,
                                  void *restrict output, void *restrict scratch) {
  aot_int16 *result = (aot_int16 *)output;
  aot_int16 *gathered = (aot_int16 *)scratch;
  const int32_t taps = layer->window.height * layer->window.width * layer->input.channels;
  for (int32_t i = taps; i < layer->matmul.depth; ++i) {
    gathered[i] = 0;
  }
  for (int32_t y = 0; y < layer->output.height; ++y) {
    for (int32_t x = 0; x < layer->output.width; ++x) {
      const struct aot_pixel_taps inside = aot_taps_of_pixel(&layer->window, &layer->input, y, x);
      aot_int16_gather(layer, (const aot_int16 *)input, &inside, gathered);
      aot_int16_row(&layer->matmul, gathered, result);
      result += layer->matmul.outputs;
    }
  }
}

#endif
