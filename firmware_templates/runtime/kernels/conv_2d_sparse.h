/* SPDX-License-Identifier: Apache-2.0 */
/* CONV_2D with sparse weights: the inputs under the windows of four output pixels are widened side by side,
 * then all output channels of the four are computed at once. No dilation; input channels are a multiple of 4. */
#ifndef AOT_CONV_2D_SPARSE_H
#define AOT_CONV_2D_SPARSE_H

#include "sparse_matmul.h"

struct aot_conv_2d_sparse {
  struct aot_image input;
  struct aot_image output; /* at least 4 pixels */
  struct aot_window window;
  int32_t zero_point; /* of the input: the value of its border */
  struct aot_sparse_matmul matmul;
  int32_t min;
  int32_t max;
};

/* Upper left tap of each window, and whether all of them lie inside the image. */
struct aot_four_windows {
  int32_t y[AOT_SPARSE_POSITIONS];
  int32_t x[AOT_SPARSE_POSITIONS];
  int32_t inside;
};

AOT_INLINE struct aot_four_windows aot_four_windows(const struct aot_conv_2d_sparse *layer, int32_t pixel) {
  const struct aot_window *const window = &layer->window;
  struct aot_four_windows four;
  int32_t row = pixel / layer->output.width;
  int32_t column = pixel - row * layer->output.width;
  four.inside = 1;
  for (int32_t i = 0; i < AOT_SPARSE_POSITIONS; ++i) {
    four.y[i] = row * window->stride_height - window->pad_top;
    four.x[i] = column * window->stride_width - window->pad_left;
    four.inside &= four.y[i] >= 0 && four.x[i] >= 0 && four.y[i] + window->height <= layer->input.height &&
                   four.x[i] + window->width <= layer->input.width;
    if (++column == layer->output.width) {
      column = 0;
      ++row;
    }
  }
  return four;
}

/* Windows inside the image: the pixels of one row of a window follow each other. */
AOT_INLINE void aot_widen_four_inside(const struct aot_conv_2d_sparse *layer, const int8_t *input,
                                      const struct aot_four_windows *four, aot_word *wide) {
  const int32_t channels = layer->input.channels;
  const int8_t *rows[AOT_SPARSE_POSITIONS];
  for (int32_t i = 0; i < AOT_SPARSE_POSITIONS; ++i) {
    rows[i] = input + (four->y[i] * layer->input.width + four->x[i]) * channels;
  }
  for (int32_t y = 0; y < layer->window.height; ++y) {
    wide = aot_widen_quad(wide, rows, layer->window.width * channels);
    for (int32_t i = 0; i < AOT_SPARSE_POSITIONS; ++i) {
      rows[i] += layer->input.width * channels;
    }
  }
}

/* Windows of which some overlap the border, pixel by pixel; `outside` is a pixel of the border. */
AOT_INLINE void aot_widen_four_at_border(const struct aot_conv_2d_sparse *layer, const int8_t *input,
                                         const struct aot_four_windows *four, const int8_t *outside,
                                         aot_word *wide) {
  const struct aot_image *const size = &layer->input;
  for (int32_t y = 0; y < layer->window.height; ++y) {
    for (int32_t x = 0; x < layer->window.width; ++x) {
      const int8_t *pixels[AOT_SPARSE_POSITIONS];
      for (int32_t i = 0; i < AOT_SPARSE_POSITIONS; ++i) {
        const int32_t row = four->y[i] + y, column = four->x[i] + x;
        const int32_t inside = row >= 0 && row < size->height && column >= 0 && column < size->width;
        pixels[i] = inside ? input + (row * size->width + column) * size->channels : outside;
      }
      wide = aot_widen_quad(wide, pixels, size->channels);
    }
  }
}

/* `scratch`: 8 bytes per tap and input channel, and a pixel of the border. */
static AOT_NOINLINE __attribute__((unused)) void aot_conv_2d_sparse(const struct aot_conv_2d_sparse *layer,
                                                                    const int8_t *input, int8_t *output,
                                                                    int8_t *scratch) {
  const int32_t pixels = layer->output.height * layer->output.width;
  const int32_t depth = layer->window.height * layer->window.width * layer->input.channels;
  aot_word *const wide = (aot_word *)(void *)scratch;
  int8_t *const outside = scratch + 8 * depth;
  for (int32_t i = 0; i < layer->input.channels; ++i) {
    outside[i] = (int8_t)layer->zero_point;
  }
  for (int32_t next = 0; next < pixels; next += AOT_SPARSE_POSITIONS) {
    /* The last pixels are four too, of which some are computed twice. */
    const int32_t last = pixels - AOT_SPARSE_POSITIONS;
    const int32_t pixel = next < last ? next : last;
    const struct aot_four_windows four = aot_four_windows(layer, pixel);
    if (four.inside) {
      aot_widen_four_inside(layer, input, &four, wide);
    } else {
      aot_widen_four_at_border(layer, input, &four, outside, wide);
    }
    aot_sparse_all(&layer->matmul, wide, output + pixel * layer->output.channels);
  }
  aot_clamp_all(output, pixels * layer->output.channels, layer->min, layer->max);
}

#endif
