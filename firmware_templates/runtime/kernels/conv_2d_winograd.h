/* SPDX-License-Identifier: Apache-2.0 */
/* CONV_2D with a 3x3 window of stride 1 by Winograd's minimal filtering F(2x2, 3x3), in exact integers: a tile
 * of 2x2 outputs takes 16 products per input channel instead of 36 (Lavin and Gray, "Fast Algorithms for
 * Convolutional Neural Networks", 2016).
 *
 *   4 y = A' [ (2 G g G' 2) * (B' d B) ] A
 *
 * g are the weights, d the 4x4 inputs of a tile, y its sums. With 2 G instead of G all numbers are integers:
 * weights below 2^11, inputs below 2^9, and 4 y, of which every sum on the way may wrap around. The generator
 * has transformed the weights, and proven that 4 y fits. Two tiles side by side are computed at a time, for two
 * output channels.
 *
 * All constants of the layer are one stream in the order of their use. For each pair of channels a, b:
 *   16 * depth words      for each of the 16 products, for each four inputs: 2 words of a, 2 words of b, each
 *                         two int16 in the order of widened inputs
 *   2 * 4 words           4 * bias, multiplier, constant, shift (see matmul.h)
 * The biases make up for the input's zero point. */
#ifndef AOT_CONV_2D_WINOGRAD_H
#define AOT_CONV_2D_WINOGRAD_H

#include "dsp.h"

#include "conv_2d_winograd_dsp.h"

struct aot_conv_2d_winograd {
  struct aot_image input;  /* channels: a multiple of 4, at most 4 * AOT_WINOGRAD_STEPS */
  struct aot_image output; /* at least 2 high and 4 wide; channels: a multiple of 2 */
  int32_t pad_top;
  int32_t pad_left;
  int32_t zero_point; /* of the input: the value of its border */
  const uint32_t *stream;
  int32_t end_shift; /* the right shift that ends all channels, or 0 for the signed way; see matmul.h */
  int32_t min;
  int32_t max;
};

/* Words of both tiles' inputs for one of the 16 products, with what AOT_WINOGRAD_CONTROL says. */
AOT_INLINE int32_t aot_winograd_line(const struct aot_conv_2d_winograd *layer) {
  return AOT_WINOGRAD_CONTROL + layer->input.channels;
}

/* B' d for all columns under one row of tiles whose first input row is `y`: [four channels][column][8 words].
 * `outside` is a pixel of the border. */
AOT_INLINE void aot_winograd_columns(const struct aot_conv_2d_winograd *layer, const int8_t *input, int32_t y,
                                     const int8_t *outside, aot_word *columns) {
  const struct aot_image *size = &layer->input;
  const int32_t count = layer->output.width + 2;
  const int8_t *const border[4] = {outside, outside, outside, outside};
  const int8_t *rows[4];
  int32_t steps[4];
  for (int32_t k = 0; k < 4; ++k) {
    const int32_t inside = y + k >= 0 && y + k < size->height;
    rows[k] = inside ? input + (y + k) * size->width * size->channels : outside;
    steps[k] = inside ? size->channels : 0;
  }
  for (int32_t x = -layer->pad_left; x < count - layer->pad_left; ++x) {
    if (x < 0 || x >= size->width) {
      aot_winograd_column(border, size->channels, 8 * count, columns);
    } else {
      aot_winograd_column(rows, size->channels, 8 * count, columns);
      for (int32_t k = 0; k < 4; ++k) {
        rows[k] += steps[k];
      }
    }
    columns += 8;
  }
}

/* (B' d) B of one tile for all channels, from its first column to its place in the products' lines. */
AOT_INLINE void aot_winograd_tile(const struct aot_conv_2d_winograd *layer, const aot_word *columns,
                                  aot_word *products) {
  const int32_t line = aot_winograd_line(layer);
  const int32_t step = 8 * (layer->output.width + 2);
  for (int32_t i = 0; i < layer->input.channels; i += 4) {
    aot_winograd_lines(products + i, line, columns);
    columns += step;
  }
}

/* Sums of one channel of one tile from its 16 products, the last of which comes first, 4 words apart. Column by
 * column, so that few of them are in registers at a time. */
AOT_INLINE void aot_winograd_sums(const uint32_t *products, uint32_t bias, uint32_t sums[4]) {
#pragma GCC unroll 4
  for (int32_t j = 0; j < 4; ++j) {
    const uint32_t first = products[4 * (15 - j)], last = products[4 * (3 - j)];
    const uint32_t second = products[4 * (11 - j)] + (j == 1 ? bias : 0u), third = products[4 * (7 - j)];
    const uint32_t upper = first + second + third;
    const uint32_t lower = second - third - last;
    sums[0] = j == 0 ? upper : j < 3 ? sums[0] + upper : sums[0];
    sums[2] = j == 0 ? lower : j < 3 ? sums[2] + lower : sums[2];
    sums[1] = j == 1 ? upper : j > 1 ? sums[1] - upper : 0;
    sums[3] = j == 1 ? lower : j > 1 ? sums[3] - lower : 0;
    /* The compiler would load the next column first. */
    __asm__ volatile("" : "+r"(sums[0]), "+r"(sums[1]), "+r"(sums[2]), "+r"(sums[3]) : : "memory");
  }
}

/* What turns sums of a channel into outputs, kept in registers: stores to outputs may change memory. */
struct aot_winograd_finish {
  int32_t multiplier;
  int32_t constant;
  uint32_t shift;
  int32_t end_shift;
};

AOT_INLINE int8_t aot_winograd_output(uint32_t sum, const struct aot_winograd_finish *finish) {
  if (finish->end_shift != 0) {
    const int32_t aligned = (int32_t)(sum << finish->shift);
    return (int8_t)aot_saturate(aot_high_mac(aligned, finish->multiplier, finish->constant) >> finish->end_shift);
  }
  const int32_t twice = (int32_t)sum >> 1;
  const int32_t scaled = aot_rounded_high_mac(twice, finish->multiplier, finish->constant) + (twice >> 31);
  return (int8_t)aot_saturate(scaled >> finish->shift);
}

/* Outputs of one pair of channels of both tiles. */
AOT_INLINE void aot_winograd_pair(const uint32_t *products, const uint32_t *parameters, int32_t end_shift,
                                  const struct aot_winograd_job *job) {
  const int32_t pixel = job->pixel, row = job->row;
  int8_t *output = job->output;
  for (int32_t channel = 0; channel < 2; ++channel) {
    const struct aot_winograd_finish finish = {(int32_t)parameters[1], (int32_t)parameters[2], parameters[3],
                                               end_shift};
    const uint32_t bias = parameters[0];
#pragma GCC unroll 2
    for (int32_t tile = 0; tile < 2; ++tile) {
      uint32_t sums[4];
      aot_winograd_sums(products, bias, sums);
      output[0] = aot_winograd_output(sums[0], &finish);
      output[row] = aot_winograd_output(sums[2], &finish);
      output += pixel;
      output[0] = aot_winograd_output(sums[1], &finish);
      output[row] = aot_winograd_output(sums[3], &finish);
      output += pixel;
      ++products;
    }
    output += 1 - 4 * pixel;
    parameters += 4;
  }
}

/* Outputs of a pair of channels of both tiles from their products, four for each of 16 lines, the last line
 * first. Returns whether there is another pair. */
static AOT_NOINLINE __attribute__((unused)) int32_t aot_winograd_outputs(const uint32_t *products,
                                                                         const uint32_t *parameters,
                                                                         struct aot_winograd_job *job) {
  if (job->end_shift != 0) {
    aot_winograd_pair(products, parameters, job->end_shift, job);
  } else {
    aot_winograd_pair(products, parameters, 0, job);
  }
  job->output += 2;
  job->stream = parameters + 8;
  return job->stream != job->stream_end;
}

/* `scratch`: 8 * channels bytes for each of the output's columns and two more, 16 lines of products and what
 * ends them, and one pixel of the border. */
static AOT_NOINLINE __attribute__((unused)) void aot_conv_2d_winograd(const struct aot_conv_2d_winograd *layer,
                                                                      const int8_t *input, int8_t *output,
                                                                      int8_t *scratch) {
  const int32_t channels = layer->output.channels;
  const int32_t width = layer->output.width;
  const int32_t line = aot_winograd_line(layer);
  aot_word *const columns = (aot_word *)(void *)scratch;
  aot_word *const products = columns + 2 * layer->input.channels * (width + 2);
  int8_t *const outside = (int8_t *)(products + 16 * line + AOT_WINOGRAD_CONTROL);
  struct aot_winograd_job job;

  for (int32_t i = 0; i < layer->input.channels; ++i) {
    outside[i] = (int8_t)layer->zero_point;
  }
  job.products = products;
  job.outputs = aot_winograd_outputs;
  job.stream_end = layer->stream + channels / 2 * (16 * layer->input.channels + 8);
  job.end_shift = layer->end_shift;
  job.depth = layer->input.channels;
  job.pixel = channels;
  job.row = width * channels;
  aot_winograd_prepare(&job, line);
  for (int32_t y = 0; y < layer->output.height; y += 2) {
    /* The last tiles of an odd row or column are partly computed twice. */
    const int32_t out_y = aot_min(y, layer->output.height - 2);
    aot_winograd_columns(layer, input, out_y - layer->pad_top, outside, columns);
    for (int32_t x = 0; x < width; x += 4) {
      const int32_t out_x = aot_min(x, width - 4);
      aot_winograd_tile(layer, columns + 8 * out_x, products + AOT_WINOGRAD_CONTROL);
      aot_winograd_tile(layer, columns + 8 * (out_x + 2), products + AOT_WINOGRAD_CONTROL + 2);
      job.stream = layer->stream;
      job.output = output + (out_y * width + out_x) * channels;
      aot_winograd_run(&job);
    }
  }
  aot_clamp_all(output, layer->output.height * width * channels, layer->min, layer->max);
}

#endif
