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

AOT_INLINE void aot_depthwise_conv_2d(const struct aot_depthwise_conv_2d *layer, const int8_t *restrict input,
                                      int8_t *restrict output) {
  const struct aot_window *window = &layer->window;
  const int32_t pixel_step = window->dilation_width * layer->input.channels;
  const int32_t tap_step = layer->output.channels;

  for (int32_t out_y = 0; out_y < layer->output.height; ++out_y) {
    const int32_t origin_y = out_y * window->stride_height - window->pad_top;
    const struct aot_taps rows =
        aot_taps_inside(origin_y, window->height, window->dilation_height, layer->input.height);
    for (int32_t out_x = 0; out_x < layer->output.width; ++out_x) {
      const int32_t origin_x = out_x * window->stride_width - window->pad_left;
      const struct aot_taps columns =
          aot_taps_inside(origin_x, window->width, window->dilation_width, layer->input.width);
      for (int32_t channel = 0; channel < layer->output.channels; ++channel) {
        int32_t accumulator = layer->bias[channel];
        for (int32_t row = rows.first; row < rows.end; ++row) {
          const int32_t y = origin_y + row * window->dilation_height;
          const int32_t x = origin_x + columns.first * window->dilation_width;
          const int8_t *pixel = input + (y * layer->input.width + x) * layer->input.channels +
                                channel / layer->depth_multiplier;
          const int8_t *weight =
              layer->weights + (row * window->width + columns.first) * tap_step + channel;
          for (int32_t column = columns.first; column < columns.end; ++column) {
            accumulator += *weight * (*pixel + layer->input_offset);
            weight += tap_step;
            pixel += pixel_step;
          }
        }
        *output++ = aot_rescale(&layer->rescale, accumulator, channel);
      }
    }
  }
}

#endif
