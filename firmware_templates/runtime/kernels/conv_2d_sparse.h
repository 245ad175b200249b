/* SPDX-License-Identifier: Apache-2.0 */
/* CONV_2D with sparse weights: the inputs under the windows of four output pixels are widened side by side,
 * then all output channels of the four are computed at once. No dilation; input channels are a multiple of 4. */
#ifndef AOT_CONV_2D_SPARSE_H
#define AOT_CONV_2D_SPARSE_H

#include "sparse_matmul.h"
#include "sparse_windows.h"

struct aot_conv_2d_sparse {
  struct aot_window_images images; /* of the output at least four pixels */
  int32_t zero_point;              /* of the input: the value of its border */
  struct aot_sparse_matmul matmul;
  int32_t min;
  int32_t max;
};

/* `scratch`: 8 bytes per tap and input channel, and a pixel of the border. */
static AOT_NOINLINE __attribute__((unused)) void aot_conv_2d_sparse(
    const struct aot_conv_2d_sparse *layer, const int8_t *input, int8_t *output, int8_t *scratch) {
  const struct aot_window_images *const images = &layer->images;
  const int32_t pixels = images->output.height * images->output.width;
  const int32_t depth = images->window.height * images->window.width * images->input.channels;
  aot_word *const wide = (aot_word *)(void *)scratch;
  int8_t *const outside = scratch + 8 * depth;
  for (int32_t i = 0; i < images->input.channels; ++i) {
    outside[i] = (int8_t)layer->zero_point;
  }
  for (int32_t next = 0; next < pixels; next += AOT_SPARSE_POSITIONS) {
    /* The last pixels are four too, of which some are computed twice. */
    const int32_t last = pixels - AOT_SPARSE_POSITIONS;
    const int32_t pixel = next < last ? next : last;
    aot_widen_group(images, input, outside, pixel, wide, AOT_SPARSE_POSITIONS, aot_widen_quad);
    aot_sparse_all(&layer->matmul, wide, output + pixel * images->output.channels);
  }
  aot_clamp_all(output, pixels * images->output.channels, layer->min, layer->max);
}

#endif
