/* SPDX-License-Identifier: Apache-2.0 */
/* DEPTHWISE_CONV_2D of 16-bit activations. */
#ifndef AOT_INT16_DEPTHWISE_CONV_2D_H
#define AOT_INT16_DEPTHWISE_CONV_2D_H

#include "int16.h"

struct aot_int16_depthwise_conv_2d {
  struct aot_image input;
  struct aot_image output;
  struct aot_window window; /* so small that its products never leave int32_t */
  int32_t depth_multiplier;
  const int8_t *weights; /* [window height][window width][output channel] */
  const int64_t *bias;   /* [output channel] */
  struct aot_int16_rescale rescale;
};

/* Output channels `channel` .. `channel + channels - 1` of one pixel; channels is a constant. */
AOT_INLINE void aot_int16_depthwise_block(const struct aot_int16_depthwise_conv_2d *layer,
                                          const struct aot_pixel_taps *taps, const aot_int16 *input,
                                          aot_int16 *output, int32_t channel, int32_t channels) {
  const struct aot_window *window = &layer->window;
  int32_t sums[AOT_BLOCK] = {0};
  for (int32_t row = taps->rows.first; row < taps->rows.end; ++row) {
    const int32_t y = taps->origin_y + row * window->dilation_height;
    const int32_t x = taps->origin_x + taps->columns.first * window->dilation_width;
    const aot_int16 *pixel =
        input + (y * layer->input.width + x) * layer->input.channels + channel / layer->depth_multiplier;
    const int8_t *weights = layer->weights +
                            (row * window->width + taps->columns.first) * layer->output.channels + channel;
    for (int32_t column = taps->columns.first; column < taps->columns.end; ++column) {
#pragma GCC unroll 4
      for (int32_t k = 0; k < channels; ++k) {
        /* A block of several channels exists only where each has an input channel of its own. */
        sums[k] += weights[k] * pixel[k];
      }
      weights += layer->output.channels;
      pixel += window->dilation_width * layer->input.channels;
    }
  }
  for (int32_t k = 0; k < channels; ++k) {
    output[channel + k] =
        aot_int16_output(&layer->rescale, layer->bias[channel + k] + sums[k], channel + k);
  }
}

AOT_INLINE void aot_int16_depthwise_conv_2d(const struct aot_int16_depthwise_conv_2d *layer,
                                            const void *restrict input, void *restrict output) {
  const aot_int16 *image = (const aot_int16 *)input;
  aot_int16 *pixel = (aot_int16 *)output;
  const int32_t blocked =
      layer->depth_multiplier == 1 ? layer->output.channels / AOT_BLOCK * AOT_BLOCK : 0;
  for (int32_t y = 0; y < layer->output.height; ++y) {
    for (int32_t x = 0; x < layer->output.width; ++x) {
      const struct aot_pixel_taps taps = aot_taps_of_pixel(&layer->window, &layer->input, y, x);
      for (int32_t channel = 0; channel < blocked; channel += AOT_BLOCK) {
        aot_int16_depthwise_block(layer, &taps, image, pixel, channel, AOT_BLOCK);
      }
      for (int32_t channel = blocked; channel < layer->output.channels; ++channel) {
        aot_int16_depthwise_block(layer, &taps, image, pixel, channel, 1);
      }
      pixel += layer->output.channels;
    }
  }
}

#endif
