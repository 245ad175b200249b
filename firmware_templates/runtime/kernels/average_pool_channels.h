/* SPDX-License-Identifier: Apache-2.0 */
/* AVERAGE_POOL_2D of a multiple of 4 channels under windows so small that sums fit int16: two channels are
 * added at once. */
#ifndef AOT_AVERAGE_POOL_CHANNELS_H
#define AOT_AVERAGE_POOL_CHANNELS_H

#include "dsp.h"
#include "pool_2d.h"

/* Sums of channels 0 and 2 (even) and 1 and 3 (odd), two int16 each. */
struct aot_channel_sums {
  uint32_t even;
  uint32_t odd;
};

AOT_INLINE struct aot_channel_sums aot_sum_channels(const struct aot_pool_2d *layer, const int8_t *channel,
                                                    const struct aot_pixel_taps *taps) {
  struct aot_channel_sums sums = {0, 0};
  const int32_t channels = layer->input.channels;
  /* Rows of full width follow each other without a gap. */
  const int32_t columns = taps->columns.end - taps->columns.first;
  const int32_t joined = columns == layer->input.width;
  const int32_t rows = taps->rows.end - taps->rows.first;
  const int32_t run = joined ? rows * columns : columns;
  int32_t pixel = (taps->origin_y + taps->rows.first) * layer->input.width + taps->origin_x + taps->columns.first;
  for (int32_t row = 0; row < (joined ? 1 : rows); ++row) {
    const int8_t *bytes = channel + pixel * channels;
    AOT_UNROLL(4)
    for (int32_t i = 0; i < run; ++i) {
      const uint32_t word = aot_load4(bytes);
      sums.even = aot_add_even(sums.even, word);
      sums.odd = aot_add_odd(sums.odd, word);
      bytes += channels;
    }
    pixel += layer->input.width;
  }
  return sums;
}

AOT_INLINE void aot_average_pool_channels(const struct aot_pool_2d *layer, const int8_t *restrict input,
                                          int8_t *restrict output) {
  for (int32_t out_y = 0; out_y < layer->output.height; ++out_y) {
    for (int32_t out_x = 0; out_x < layer->output.width; ++out_x) {
      const struct aot_pixel_taps taps = aot_taps_of_pixel(&layer->window, &layer->input, out_y, out_x);
      const int32_t count = (taps.rows.end - taps.rows.first) * (taps.columns.end - taps.columns.first);
      for (int32_t channel = 0; channel < layer->output.channels; channel += 4) {
        const struct aot_channel_sums sums = aot_sum_channels(layer, input + channel, &taps);
        const int32_t each[4] = {aot_low(sums.even), aot_low(sums.odd), aot_high(sums.even),
                                 aot_high(sums.odd)};
        for (int32_t i = 0; i < 4; ++i) {
          *output++ = (int8_t)aot_clamp(aot_rounded_average(each[i], count), layer->min, layer->max);
        }
      }
    }
  }
}

#endif
