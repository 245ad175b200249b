/* SPDX-License-Identifier: Apache-2.0 */
/* CONV_2D: every output channel sees every input channel under the window. */
#ifndef AOT_CONV_2D_H
#define AOT_CONV_2D_H

#include "kernel.h"

struct aot_conv_2d {
  struct aot_image input;
  struct aot_image output;
  struct aot_window window;
  int32_t input_offset;  /* minus the input's zero point; 0 where the generator has put it into the bias */
  const int8_t *weights; /* [output channel][window height][window width][input channel] */
  const int32_t *bias;   /* [output channel] */
  struct aot_rescale rescale;
};

/* Output channels `channel` .. `channel + channels - 1` of one pixel; channels is a constant. */
AOT_INLINE void aot_conv_2d_block(const struct aot_conv_2d *layer, const struct aot_pixel_taps *taps,
                                  const int8_t *input, int8_t *output, int32_t channel, int32_t channels) {
  const struct aot_window *window = &layer->window;
  const int32_t depth = layer->input.channels;
  const int32_t kernel = window->height * window->width * depth;
  /* Without dilation the taps of one window row are one run of bytes, in the input as in the weights. */
  const int32_t row_is_run = window->dilation_width == 1;
  const int32_t columns = taps->columns.end - taps->columns.first;
  const int32_t runs = row_is_run ? 1 : columns;
  const int32_t run = row_is_run ? columns * depth : depth;

  int32_t accumulators[AOT_BLOCK];
  for (int32_t k = 0; k < channels; ++k) {
    accumulators[k] = layer->bias[channel + k];
  }
  for (int32_t row = taps->rows.first; row < taps->rows.end; ++row) {
    const int32_t y = taps->origin_y + row * window->dilation_height;
    const int32_t x = taps->origin_x + taps->columns.first * window->dilation_width;
    const int8_t *pixels = input + (y * layer->input.width + x) * depth;
    const int8_t *weights =
        layer->weights + channel * kernel + (row * window->width + taps->columns.first) * depth;
    for (int32_t i = 0; i < runs; ++i) {
      aot_dot(accumulators, channels, weights, kernel, pixels, run, layer->input_offset);
      weights += depth;
      pixels += window->dilation_width * depth;
    }
  }
  for (int32_t k = 0; k < channels; ++k) {
    output[channel + k] = aot_rescale(&layer->rescale, accumulators[k], channel + k);
  }
}

AOT_INLINE void aot_conv_2d(const struct aot_conv_2d *layer, const int8_t *restrict input,
                            int8_t *restrict output) {
  const int32_t blocked = layer->output.channels / AOT_BLOCK * AOT_BLOCK;
  for (int32_t out_y = 0; out_y < layer->output.height; ++out_y) {
    for (int32_t out_x = 0; out_x < layer->output.width; ++out_x) {
      const struct aot_pixel_taps taps = aot_taps_of_pixel(&layer->window, &layer->input, out_y, out_x);
      for (int32_t channel = 0; channel < blocked; channel += AOT_BLOCK) {
        aot_conv_2d_block(layer, &taps, input, output, channel, AOT_BLOCK);
      }
      for (int32_t channel = blocked; channel < layer->output.channels; ++channel) {
        aot_conv_2d_block(layer, &taps, input, output, channel, 1);
      }
      output += layer->output.channels;
    }
  }
}

#endif
