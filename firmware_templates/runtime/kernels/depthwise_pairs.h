/* SPDX-License-Identifier: Apache-2.0 */
/* DEPTHWISE_CONV_2D with windows of up to AOT_MOST_TAPS taps, any stride and dilation, one output channel per
 * input channel, and a multiple of 4 channels.
 *
 * Two taps of four channels at a time: a word of each is widened and sorted into one word per channel, for
 * which one dual multiply-accumulate serves both taps. Weights are shifted left beforehand by what the
 * channel's rescaling needs (finish as in matmul.h). Taps outside the image read a pixel of zero points. */
#ifndef AOT_DEPTHWISE_PAIRS_H
#define AOT_DEPTHWISE_PAIRS_H

#include "dsp.h"

#define AOT_MOST_TAPS 26

/* The constant stream has for each four channels: four sums to begin with, which make up for the input's zero
 * point and are shifted like the weights; four words of weights per pair of taps; and this. */
struct aot_depthwise_rescaling {
  struct {
    int32_t multiplier;
    int32_t constant;
  } channels[4];
  uint8_t shift[4]; /* to the right */
};

/* One pixel of the output. The members are in the order in which depthwise_pairs_dsp.h reads them. */
struct aot_depthwise_pixel {
  const int8_t *const *taps; /* of its window, two per pair */
  const uint32_t *stream;
  int32_t at; /* bytes from where the taps point to what they are */
  const int8_t *const *taps_end;
  int8_t *output;
  int8_t *output_end;
};

#if AOT_DSP
#include "depthwise_pairs_dsp.h"
#else
/* Whether the signed way is taken. */
typedef int32_t aot_depthwise_groups;
#define AOT_DEPTHWISE_PIXEL_SHIFTED 0
#define AOT_DEPTHWISE_PIXEL_SIGNED 1

/* Four channels of a pixel from their sums to int8. */
AOT_INLINE void aot_depthwise_rescale(const struct aot_depthwise_rescaling *by, const uint32_t *sums,
                                      int8_t *output, int32_t is_signed) {
  for (int32_t i = 0; i < 4; ++i) {
    const int32_t sum = (int32_t)sums[i];
    const int32_t multiplier = by->channels[i].multiplier, constant = by->channels[i].constant;
    const int32_t scaled = is_signed ? aot_rounded_high_mac(sum, multiplier, constant) + (sum >> 31)
                                     : aot_high_mac(sum, multiplier, constant);
    output[i] = (int8_t)aot_clamp(scaled >> by->shift[i], INT8_MIN, INT8_MAX);
  }
}

/* All channels of a pixel. */
AOT_INLINE void aot_depthwise_run_groups(aot_depthwise_groups is_signed,
                                         const struct aot_depthwise_pixel *pixel) {
  const uint32_t *stream = pixel->stream;
  int32_t at = pixel->at;
  for (int8_t *output = pixel->output; output != pixel->output_end; output += 4, at += 4) {
    uint32_t sums[4] = {stream[0], stream[1], stream[2], stream[3]};
    stream += 4;
    for (const int8_t *const *tap = pixel->taps; tap != pixel->taps_end; tap += 2, stream += 4) {
      for (int32_t i = 0; i < 4; ++i) {
        sums[i] = aot_dual_mac(aot_pack(tap[0][at + i], tap[1][at + i]), stream[i], sums[i]);
      }
    }
    aot_depthwise_rescale((const struct aot_depthwise_rescaling *)(const void *)stream, sums, output,
                          is_signed);
    stream += sizeof(struct aot_depthwise_rescaling) / sizeof *stream;
  }
}
#endif

struct aot_depthwise_pairs {
  struct aot_image input;
  struct aot_image output;
  struct aot_window window;
  int32_t zero_point; /* of the input: the value of its border */
  int32_t pairs;
  aot_depthwise_groups groups;
  const uint32_t *stream;
  int32_t min;
  int32_t max;
};

/* Where each tap of a pixel's window lies; `border` for those outside. A last tap without a partner is its own,
 * with weights of 0. */
AOT_INLINE void aot_depthwise_find_taps(const struct aot_depthwise_pairs *layer, const int8_t **taps,
                                        const int8_t *input, const int8_t *border, int32_t top, int32_t left) {
  const struct aot_window *const window = &layer->window;
  const int32_t width = layer->input.width, channels = layer->input.channels;
  const int32_t right = left + window->width * window->dilation_width;
  const int8_t **tap = taps;
  for (int32_t row = 0; row < window->height; ++row, top += window->dilation_height) {
    const int is_inside = top >= 0 && top < layer->input.height;
    int32_t offset = (top * width + left) * channels;
    for (int32_t x = left; x != right; x += window->dilation_width) {
      *tap++ = is_inside && x >= 0 && x < width ? input + offset : border;
      offset += window->dilation_width * channels;
    }
  }
  *tap = tap[-1];
}

/* `scratch`: a pixel of the input. Not copied for the sizes of a layer that is alone, so that it takes as long
 * there as predicted. */
static AOT_NOINLINE AOT_NOCLONE __attribute__((unused)) void aot_depthwise_pairs(
    const struct aot_depthwise_pairs *layer, const int8_t *input, int8_t *output, int8_t *scratch) {
  const struct aot_window *const window = &layer->window;
  const int32_t channels = layer->input.channels;
  const int32_t rows = (window->height - 1) * window->dilation_height;
  const int32_t columns = (window->width - 1) * window->dilation_width;
  const int8_t *taps[AOT_MOST_TAPS + 1];
  struct aot_depthwise_pixel pixel;
  pixel.taps = taps;
  pixel.taps_end = taps + 2 * layer->pairs;
  pixel.stream = layer->stream;
  pixel.output = output;
  memset(scratch, layer->zero_point, (size_t)channels);
  for (int32_t out_y = 0; out_y < layer->output.height; ++out_y) {
    const int32_t top = out_y * window->stride_height - window->pad_top;
    const int rows_are_inside = top >= 0 && top + rows < layer->input.height;
    int32_t found = 0; /* the left end of the window whose taps were found last */
    int follows = 0;   /* whether it lies inside, so that those of the next one follow from it */
    for (int32_t out_x = 0; out_x < layer->output.width; ++out_x) {
      const int32_t left = out_x * window->stride_width - window->pad_left;
      const int is_inside = rows_are_inside && left >= 0 && left + columns < layer->input.width;
      if (!(is_inside && follows)) {
        aot_depthwise_find_taps(layer, taps, input, scratch, top, left);
        found = left;
      }
      follows = is_inside;
      pixel.at = (left - found) * channels;
      pixel.output_end = pixel.output + channels;
      aot_depthwise_run_groups(layer->groups, &pixel);
      pixel.output = pixel.output_end;
    }
  }
  aot_clamp_all(output, layer->output.height * layer->output.width * channels, layer->min, layer->max);
}

#endif
