/* SPDX-License-Identifier: Apache-2.0 */
/* DEPTHWISE_CONV_2D: every input channel makes `depth_multiplier` output channels of its own. */
#ifndef AOT_DEPTHWISE_CONV_2D_H
#define AOT_DEPTHWISE_CONV_2D_H

#include "kernel.h"

struct aot_depthwise_conv_2d {
  struct aot_image input;
  struct aot_image output;
  struct aot_window window;
  int32_t depth_multiplier;
  int32_t input_offset;  /* minus the input's zero point; 0 where the generator has put it into the bias */
  const int8_t *weights; /* [window height][window width][output channel] */
  const int32_t *bias;   /* [output channel] */
  struct aot_rescale rescale;
};

/* Output channels `channel` .. `channel + channels - 1` of one pixel; channels is a constant. */
AOT_INLINE void aot_depthwise_conv_2d_block(const struct aot_depthwise_conv_2d *layer,
                                            const struct aot_pixel_taps *taps, const int8_t *input,
                                            int8_t *output, int32_t channel, int32_t channels) {
  const struct aot_window *window = &layer->window;
  const int32_t pixel_step = window->dilation_width * layer->input.channels;
  const int32_t tap_step = layer->output.channels;

  int32_t accumulators[AOT_BLOCK];
  for (int32_t k = 0; k < channels; ++k) {
    accumulators[k] = layer->bias[channel + k];
  }
  for (int32_t row = taps->rows.first; row < taps->rows.end; ++row) {
    const int32_t y = taps->origin_y + row * window->dilation_height;
    const int32_t x = taps->origin_x + taps->columns.first * window->dilation_width;
    const int8_t *pixel =
        input + (y * layer->input.width + x) * layer->input.channels + channel / layer->depth_multiplier;
    const int8_t *weights =
        layer->weights + (row * window->width + taps->columns.first) * tap_step + channel;
    for (int32_t column = taps->columns.first; column < taps->columns.end; ++column) {
#pragma GCC unroll 4
      for (int32_t k = 0; k < channels; ++k) {
        /* A block of several channels exists only where each has an input channel of its own. */
        accumulators[k] += weights[k] * (pixel[k] + layer->input_offset);
      }
      weights += tap_step;
      pixel += pixel_step;
    }
  }
  for (int32_t k = 0; k < channels; ++k) {
    output[channel + k] = aot_rescale(&layer->rescale, accumulators[k], channel + k);
  }
}

AOT_INLINE void aot_depthwise_conv_2d(const struct aot_depthwise_conv_2d *layer, const int8_t *restrict input,
                                      int8_t *restrict output) {
  const int32_t blocked =
      layer->depth_multiplier == 1 ? layer->output.channels / AOT_BLOCK * AOT_BLOCK : 0;
  for (int32_t out_y = 0; out_y < layer->output.height; ++out_y) {
    for (int32_t out_x = 0; out_x < layer->output.width; ++out_x) {
      const struct aot_pixel_taps taps = aot_taps_of_pixel(&layer->window, &layer->input, out_y, out_x);
      for (int32_t channel = 0; channel < blocked; channel += AOT_BLOCK) {
        aot_depthwise_conv_2d_block(layer, &taps, input, output, channel, AOT_BLOCK);
      }
      for (int32_t channel = blocked; channel < layer->output.channels; ++channel) {
        aot_depthwise_conv_2d_block(layer, &taps, input, output, channel, 1);
      }
      output += layer->output.channels;
    }
  }
}

#endif
