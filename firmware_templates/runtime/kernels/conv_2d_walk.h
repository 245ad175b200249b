/* SPDX-License-Identifier: Apache-2.0 */
/* CONV_2D as a matrix product whose windows walk down the image: two neighbouring columns of outputs at a time.
 * What the windows of an output row share with those of the row above stays widened, so that only the rows
 * that are new are widened again. No dilation; pixels are whole words. */
#ifndef AOT_CONV_2D_WALK_H
#define AOT_CONV_2D_WALK_H

#include "matmul.h"

struct aot_conv_2d_walk {
  struct aot_image input;
  struct aot_image output; /* at least two columns */
  struct aot_window window;
  int32_t zero_point; /* of the input: the value of its border */
  int32_t slots;      /* widened rows of windows that scratch holds, at least as many as the window has */
  struct aot_matmul matmul;
  int32_t min;
  int32_t max;
};

/* Where a pair of windows stands. */
struct aot_walk {
  const struct aot_conv_2d_walk *layer;
  const int8_t *input;
  const int8_t *outside; /* a pixel of the border */
  int32_t x;             /* the first column of the first window, which may lie in the border */
  int32_t inside;        /* 1 if no column of the two windows lies in the border */
};

/* The pixel of an image row, or that of the border. */
AOT_INLINE const int8_t *aot_walk_pixel(const struct aot_walk *walk, const int8_t *row, int32_t x) {
  const struct aot_image *size = &walk->layer->input;
  return row != 0 && x >= 0 && x < size->width ? row + x * size->channels : walk->outside;
}

/* Widens row `y` of the image under both windows where the border is part of it, pixel by pixel. Returns the
 * end of what it wrote. */
static AOT_NOINLINE __attribute__((unused)) aot_word *aot_walk_border(const struct aot_walk *walk, int32_t y,
                                                                      aot_word *wide) {
  const struct aot_conv_2d_walk *layer = walk->layer;
  const int32_t depth = layer->input.channels;
  const int8_t *const row =
      y >= 0 && y < layer->input.height ? walk->input + y * layer->input.width * depth : 0;
  for (int32_t x = walk->x; x < walk->x + layer->window.width; ++x) {
    const int8_t *const first = aot_walk_pixel(walk, row, x);
    const int8_t *const second = aot_walk_pixel(walk, row, x + layer->window.stride_width);
    wide = aot_widen_words(wide, first, second, depth);
  }
  return wide;
}

/* All rows of two columns of outputs, the first at `output`. */
AOT_INLINE void aot_walk_down(const struct aot_walk *walk, struct aot_matmul_run *run, aot_word *slots,
                              int8_t *output) {
  const struct aot_conv_2d_walk *layer = walk->layer;
  const int32_t channels = layer->output.channels;
  const int32_t depth = layer->input.channels, line = layer->input.width * depth;
  const int32_t taps = layer->window.width * depth, neighbour = layer->window.stride_width * depth;
  const int32_t step = layer->window.stride_height;
  const int32_t kept = (layer->window.height - step) * taps;
  const aot_word *const last = slots + (layer->slots - step) * taps;
  const uint32_t rows_inside = walk->inside ? (uint32_t)layer->input.height : 0u;
  const int8_t *row = walk->input - layer->window.pad_top * line + walk->x * depth;
  int32_t y = -layer->window.pad_top;
  int32_t missing = layer->window.height;
  aot_word *wide = slots;
  for (int32_t out_y = 0; out_y < layer->output.height; ++out_y) {
    if (wide > last) {
      wide = aot_copy_words(slots, wide - kept, kept);
    }
    aot_word *const window = out_y == 0 ? wide : wide - kept;
    for (; missing != 0; --missing) {
      /* The taps of a row inside are one run. */
      wide = (uint32_t)y < rows_inside ? aot_widen_words(wide, row, row + neighbour, taps)
                                       : aot_walk_border(walk, y, wide);
      row += line;
      ++y;
    }
    missing = step;
    aot_matmul_move(run, window, wide);
    aot_matmul_all(run, 2, output, output + channels);
    output += layer->output.width * channels;
  }
}

/* `scratch`: 4 bytes for every widened input of `slots` rows, and one pixel of the border. */
static AOT_NOINLINE __attribute__((unused)) void aot_conv_2d_walk(const struct aot_conv_2d_walk *layer,
                                                                  const int8_t *input, int8_t *output,
                                                                  int8_t *scratch) {
  const struct aot_window *window = &layer->window;
  aot_word *const slots = (aot_word *)(void *)scratch;
  int8_t *const outside = scratch + 4 * layer->slots * window->width * layer->input.channels;
  struct aot_matmul_run run = aot_matmul_prepare(&layer->matmul, slots, 2);
  struct aot_walk walk = {layer, input, outside, 0, 0};

  for (int32_t i = 0; i < layer->input.channels; ++i) {
    outside[i] = (int8_t)layer->zero_point;
  }
  for (int32_t column = 0; column < layer->output.width; column += 2) {
    /* The last of an odd number of columns goes together with its neighbour, which is computed twice. */
    const int32_t out_x = aot_min(column, layer->output.width - 2);
    walk.x = out_x * window->stride_width - window->pad_left;
    walk.inside =
        walk.x >= 0 && walk.x + window->stride_width + window->width <= layer->input.width;
    aot_walk_down(&walk, &run, slots, output + out_x * layer->output.channels);
  }
  aot_clamp_all(output, layer->output.height * layer->output.width * layer->output.channels, layer->min,
                layer->max);
}

#endif
