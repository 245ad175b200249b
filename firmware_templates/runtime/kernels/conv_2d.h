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

AOT_INLINE void aot_conv_2d(const struct aot_conv_2d *layer, const int8_t *restrict input,
                            int8_t *restrict output) {
  const struct aot_window *window = &layer->window;
  const int32_t channels = layer->input.channels;
  /* Without dilation the taps of one window row are one run of bytes, in the input as in the weights. */
  const int32_t row_is_run = window->dilation_width == 1;

  for (int32_t out_y = 0; out_y < layer->output.height; ++out_y) {
    const int32_t origin_y = out_y * window->stride_height - window->pad_top;
    const struct aot_taps rows =
        aot_taps_inside(origin_y, window->height, window->dilation_height, layer->input.height);
    for (int32_t out_x = 0; out_x < layer->output.width; ++out_x) {
      const int32_t origin_x = out_x * window->stride_width - window->pad_left;
      const struct aot_taps columns =
          aot_taps_inside(origin_x, window->width, window->dilation_width, layer->input.width);
      const int32_t runs = row_is_run ? 1 : columns.end - columns.first;
      const int32_t run = row_is_run ? (columns.end - columns.first) * channels : channels;
      for (int32_t channel = 0; channel < layer->output.channels; ++channel) {
        int32_t accumulator = layer->bias[channel];
        for (int32_t row = rows.first; row < rows.end; ++row) {
          const int32_t y = origin_y + row * window->dilation_height;
          const int32_t x = origin_x + columns.first * window->dilation_width;
          const int8_t *pixels = input + (y * layer->input.width + x) * channels;
          const int8_t *weights =
              layer->weights +
              ((channel * window->height + row) * window->width + columns.first) * channels;
          for (int32_t i = 0; i < runs; ++i) {
            accumulator = aot_dot(accumulator, weights, pixels, run, layer->input_offset);
            weights += channels;
            pixels += window->dilation_width * channels;
          }
        }
        *output++ = aot_rescale(&layer->rescale, accumulator, channel);
      }
    }
  }
}

#endif
