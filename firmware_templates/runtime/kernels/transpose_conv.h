/* SPDX-License-Identifier: Apache-2.0 */
/* TRANSPOSE_CONV: every input pixel adds its window to the output. Each output pixel gathers the taps that
 * fall on it, so that no zeros are multiplied and the sums need no memory. */
#ifndef AOT_TRANSPOSE_CONV_H
#define AOT_TRANSPOSE_CONV_H

#include "kernel.h"

struct aot_transpose_conv {
  struct aot_image input;
  struct aot_image output;
  struct aot_window window; /* over the output; without dilation */
  int32_t input_offset;     /* minus the input's zero point */
  const int8_t *weights;    /* [output channel][window height][window width][input channel] */
  const int32_t *bias;      /* [output channel] */
  struct aot_rescale rescale;
};

/* The taps of one dimension that fall on one output pixel: tap, tap + stride ... meet the input pixels
 * position, position - 1 ... */
struct aot_covering_taps {
  int32_t tap;
  int32_t position;
  int32_t count; /* may be negative, which is none */
};

AOT_INLINE struct aot_covering_taps aot_taps_covering(int32_t padded, int32_t taps, int32_t stride,
                                                      int32_t size) {
  struct aot_covering_taps covering;
  covering.tap = padded % stride;
  covering.position = padded / stride;
  if (covering.position >= size) {
    covering.tap += (covering.position - size + 1) * stride;
    covering.position = size - 1;
  }
  covering.count = covering.tap < taps ? (taps - covering.tap + stride - 1) / stride : 0;
  covering.count = aot_min(covering.count, covering.position + 1);
  return covering;
}

/* Output channels `channel` .. `channel + channels - 1` of one pixel; channels is a constant. */
AOT_INLINE void aot_transpose_conv_block(const struct aot_transpose_conv *layer,
                                         const struct aot_covering_taps *rows,
                                         const struct aot_covering_taps *columns, const int8_t *input,
                                         int8_t *output, int32_t channel, int32_t channels) {
  const struct aot_window *window = &layer->window;
  const int32_t depth = layer->input.channels;
  const int32_t kernel = window->height * window->width * depth;

  int32_t accumulators[AOT_BLOCK];
  for (int32_t k = 0; k < channels; ++k) {
    accumulators[k] = layer->bias[channel + k];
  }
  for (int32_t i = 0; i < rows->count; ++i) {
    const int32_t row = rows->tap + i * window->stride_height;
    const int8_t *weights =
        layer->weights + channel * kernel + (row * window->width + columns->tap) * depth;
    const int8_t *pixel = input + ((rows->position - i) * layer->input.width + columns->position) * depth;
    for (int32_t j = 0; j < columns->count; ++j) {
      aot_dot(accumulators, channels, weights + j * window->stride_width * depth, kernel, pixel - j * depth,
              depth, layer->input_offset);
    }
  }
  for (int32_t k = 0; k < channels; ++k) {
    output[channel + k] = aot_rescale(&layer->rescale, accumulators[k], channel + k);
  }
}

AOT_INLINE void aot_transpose_conv(const struct aot_transpose_conv *layer, const int8_t *restrict input,
                                   int8_t *restrict output) {
  const struct aot_window *window = &layer->window;
  const int32_t blocked = layer->output.channels / AOT_BLOCK * AOT_BLOCK;
  for (int32_t y = 0; y < layer->output.height; ++y) {
    const struct aot_covering_taps rows =
        aot_taps_covering(y + window->pad_top, window->height, window->stride_height, layer->input.height);
    for (int32_t x = 0; x < layer->output.width; ++x) {
      const struct aot_covering_taps columns =
          aot_taps_covering(x + window->pad_left, window->width, window->stride_width, layer->input.width);
      for (int32_t channel = 0; channel < blocked; channel += AOT_BLOCK) {
        aot_transpose_conv_block(layer, &rows, &columns, input, output, channel, AOT_BLOCK);
      }
      for (int32_t channel = blocked; channel < layer->output.channels; ++channel) {
        aot_transpose_conv_block(layer, &rows, &columns, input, output, channel, 1);
      }
      output += layer->output.channels;
    }
  }
}

#endif
