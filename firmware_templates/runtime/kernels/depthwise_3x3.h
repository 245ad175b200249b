/* SPDX-License-Identifier: Apache-2.0 */
/* DEPTHWISE_CONV_2D with windows of 3 x 3, stride 1, no dilation, one output channel per input channel, and a
 * multiple of 4 channels.
 *
 * Four channels at a time are spread out as planes of int16, with their border: so a word holds two
 * neighbours of one channel, and one dual multiply-accumulate serves two of three taps of a row. Weights are
 * shifted left beforehand by what the channel's rescaling needs (finish as in matmul.h), which is free. */
#ifndef AOT_DEPTHWISE_3X3_H
#define AOT_DEPTHWISE_3X3_H

#include "dsp.h"

/* One channel of the constant stream. */
struct aot_depthwise_channel {
  int32_t bias; /* makes up for the input's zero point; shifted like the weights */
  int32_t multiplier;
  int32_t constant;
  int8_t weights[9];
  int8_t weight_shift; /* to the left */
  int8_t end_shift;    /* to the right; 0 where it is common to all channels */
  int8_t unused;
};

/* The rows of one channel. The members are in the order in which depthwise_3x3_dsp.h reads them. */
struct aot_depthwise_job {
  const aot_word *plane; /* upper left tap of the first output */
  int32_t row_bytes;     /* of the plane */
  int8_t *output;
  int32_t channels;
  int32_t multiplier;
  int32_t constant;
  int32_t step3; /* 3 * channels; in the signed way, the right shift */
  int32_t step5; /* 5 * channels */
  uint32_t weights[6]; /* for each row, taps 0 and 1, then taps 1 and 2 */
  int32_t bias;
  const aot_word *plane_end; /* `plane` after the last row */
  int32_t wide_bytes;        /* of the plane in a row, for all outputs but the last tile's */
};

/* Rows of the image whose first four channels are spread out. The members are in the order in which
 * depthwise_3x3_dsp.h reads them. */
struct aot_spread_job {
  const int8_t *pixels;
  aot_word *plane;      /* the first of four */
  int32_t channels;     /* bytes from pixel to pixel */
  int32_t plane_bytes;  /* from plane to plane */
  int32_t three_planes; /* 3 * plane_bytes */
  uint32_t border;      /* two int16 */
  int32_t rows;         /* at least 1 */
  int32_t skip_bytes;   /* of the plane, from the last word that a row writes to its end */
  int32_t pairs;        /* of pixels in a row, apart from a first and a last one; may be 0 */
  int32_t has_first;    /* whether the first pixel shares its word with the border */
  int32_t has_last;
};

#if AOT_DSP
#include "depthwise_3x3_dsp.h"
#else
/* The common right shift, or 0 for the signed way. */
typedef int32_t aot_depthwise_rows;
#define AOT_DEPTHWISE_NARROW_SHIFTED(last, end_shift) (end_shift)
#define AOT_DEPTHWISE_WIDE_SHIFTED(last, end_shift) (end_shift)
#define AOT_DEPTHWISE_NARROW_SIGNED(last) 0
#define AOT_DEPTHWISE_WIDE_SIGNED(last) 0

AOT_INLINE int8_t aot_depthwise_output(const struct aot_depthwise_job *job, uint32_t sum, int32_t end_shift) {
  const int32_t x = (int32_t)sum;
  const int32_t scaled =
      end_shift != 0
          ? aot_high_mac(x, job->multiplier, job->constant) >> end_shift
          : (aot_rounded_high_mac(x, job->multiplier, job->constant) + (x >> 31)) >> job->step3;
  return (int8_t)aot_clamp(scaled, INT8_MIN, INT8_MAX);
}

/* All rows of one channel, `width` outputs each. */
AOT_INLINE void aot_depthwise_run(aot_depthwise_rows end_shift, const struct aot_depthwise_job *job,
                                  int32_t width) {
  const int32_t row_words = job->row_bytes / 4;
  int8_t *output = job->output;
  for (const aot_word *plane = job->plane; plane != job->plane_end; plane += row_words) {
    for (int32_t x = 0; x < width; ++x) {
      uint32_t sum = (uint32_t)job->bias;
      for (int32_t row = 0; row < 3; ++row) {
        const aot_word *const words = plane + row * row_words + x / 2;
        const uint32_t first = job->weights[2 * row], second = job->weights[2 * row + 1];
        if (x % 2 == 0) {
          sum = aot_dual_mac(first, words[0], sum);
          sum += (uint32_t)(aot_high(second) * aot_low(words[1]));
        } else {
          sum += (uint32_t)(aot_low(first) * aot_high(words[0]));
          sum = aot_dual_mac(second, words[1], sum);
        }
      }
      *output = aot_depthwise_output(job, sum, end_shift);
      output += job->channels;
    }
  }
}
#endif

struct aot_depthwise_3x3 {
  struct aot_image input;
  struct aot_image output;
  int32_t pad_top;
  int32_t pad_left;
  int32_t zero_point; /* of the input: the value of its border */
  int32_t band;       /* rows of the output that are computed from one set of planes */
  int32_t row_words;  /* of a plane */
  int32_t wide_bytes; /* 12 for every 6 outputs of a row before the last tile of 1 to 6 */
  int32_t is_signed;
  aot_depthwise_rows rows;
  const uint32_t *stream; /* one struct aot_depthwise_channel per channel */
  int32_t min;
  int32_t max;
};

#if !AOT_DSP
/* Four channels of two neighbours, as one word in each of four planes. */
AOT_INLINE void aot_spread_two(aot_word *plane, int32_t plane_words, uint32_t left, uint32_t right) {
  const uint32_t even_left = aot_widen_even(left), odd_left = aot_widen_odd(left);
  const uint32_t even_right = aot_widen_even(right), odd_right = aot_widen_odd(right);
  plane[0] = aot_pack_low(even_left, even_right);
  plane[plane_words] = aot_pack_low(odd_left, odd_right);
  plane[2 * plane_words] = aot_pack_high(even_left, even_right);
  plane[3 * plane_words] = aot_pack_high(odd_left, odd_right);
}

AOT_INLINE void aot_spread_rows(const struct aot_spread_job *job) {
  const int32_t plane_words = job->plane_bytes / 4;
  const uint32_t border = (job->border & 0xffu) * 0x01010101u;
  const int8_t *pixel = job->pixels;
  aot_word *plane = job->plane;
  int32_t at = 0;
  for (int32_t row = 0; row < job->rows; ++row) {
    if (job->has_first) {
      aot_spread_two(plane++, plane_words, border, aot_load4(pixel + at));
      at += job->channels;
    }
    for (int32_t i = 0; i < job->pairs; ++i) {
      aot_spread_two(plane++, plane_words, aot_load4(pixel + at), aot_load4(pixel + at + job->channels));
      at += 2 * job->channels;
    }
    if (job->has_last) {
      aot_spread_two(plane++, plane_words, aot_load4(pixel + at), border);
      at += job->channels;
    }
    plane += job->skip_bytes / 4;
  }
}
#endif

/* What is the same for all rows of a layer. */
AOT_INLINE struct aot_spread_job aot_spread_prepare(const struct aot_depthwise_3x3 *layer) {
  struct aot_spread_job job;
  const int32_t rest = layer->input.width - layer->pad_left;
  job.channels = layer->input.channels;
  job.plane_bytes = 4 * layer->row_words * (layer->band + 2);
  job.three_planes = 3 * job.plane_bytes;
  job.border = aot_pack(layer->zero_point, layer->zero_point);
  job.has_first = layer->pad_left;
  job.pairs = rest / 2;
  job.has_last = rest % 2;
  job.skip_bytes = 4 * (layer->row_words - job.has_first - job.pairs - job.has_last);
  return job;
}

/* Rows of border in all four planes. */
AOT_INLINE void aot_spread_border(const struct aot_depthwise_3x3 *layer, aot_word *plane, uint32_t border,
                                  int32_t rows) {
  const int32_t plane_words = layer->row_words * (layer->band + 2);
  for (int32_t i = 0; i < rows * layer->row_words; ++i) {
    plane[i] = plane[plane_words + i] = border;
    plane[2 * plane_words + i] = plane[3 * plane_words + i] = border;
  }
}

/* The planes of the output rows from `first` on, of four channels from `input` on. The words right of the
 * image keep the border's value. */
AOT_INLINE void aot_spread_band(const struct aot_depthwise_3x3 *layer, struct aot_spread_job *job,
                                const int8_t *input, int32_t first, int32_t rows, aot_word *planes) {
  const int32_t from = aot_max(first - layer->pad_top, 0);
  const int32_t to = aot_min(first - layer->pad_top + rows + 2, layer->input.height);
  const int32_t above = from - (first - layer->pad_top);
  const int32_t below = rows + 2 - above - (to - from);
  aot_spread_border(layer, planes, job->border, above);
  aot_spread_border(layer, planes + (above + to - from) * layer->row_words, job->border, below);
  job->pixels = input + from * layer->input.width * layer->input.channels;
  job->plane = planes + above * layer->row_words;
  job->rows = to - from;
  aot_spread_rows(job);
}

/* One channel of a band, from its plane. */
AOT_INLINE void aot_depthwise_channel(const struct aot_depthwise_3x3 *layer, struct aot_depthwise_job *job,
                                      int32_t channel, const aot_word *plane, const aot_word *plane_end) {
  const struct aot_depthwise_channel *const constants =
      (const struct aot_depthwise_channel *)(const void *)layer->stream + channel;
#pragma GCC unroll 3
  for (int32_t row = 0; row < 3; ++row) {
    const int8_t *const w = constants->weights + 3 * row;
    const uint32_t w0 = (uint32_t)w[0] << constants->weight_shift;
    const uint32_t w1 = (uint32_t)w[1] << constants->weight_shift;
    const uint32_t w2 = (uint32_t)w[2] << constants->weight_shift;
    job->weights[2 * row] = aot_pack_low(w0, w1);
    job->weights[2 * row + 1] = aot_pack_low(w1, w2);
  }
  job->plane = plane;
  job->plane_end = plane_end;
  job->multiplier = constants->multiplier;
  job->constant = constants->constant;
  job->bias = constants->bias;
  if (layer->is_signed) {
    job->step3 = constants->end_shift;
  }
  aot_depthwise_run(layer->rows, job, layer->output.width);
}

AOT_INLINE struct aot_depthwise_job aot_depthwise_prepare(const struct aot_depthwise_3x3 *layer) {
  const int32_t channels = layer->output.channels;
  struct aot_depthwise_job job;
  job.row_bytes = 4 * layer->row_words;
  job.channels = channels;
  job.step3 = 3 * channels;
  job.step5 = 5 * channels;
  job.wide_bytes = layer->wide_bytes;
  return job;
}

/* `scratch`: four planes of band + 2 rows. */
static AOT_NOINLINE __attribute__((unused)) void aot_depthwise_3x3(const struct aot_depthwise_3x3 *layer,
                                                                   const int8_t *input, int8_t *output,
                                                                   int8_t *scratch) {
  const int32_t channels = layer->output.channels;
  const int32_t plane_words = layer->row_words * (layer->band + 2);
  const int32_t row = layer->output.width * channels;
  const uint32_t border = aot_pack(layer->zero_point, layer->zero_point);
  aot_word *const planes = (aot_word *)(void *)scratch;
  struct aot_spread_job spread = aot_spread_prepare(layer);
  struct aot_depthwise_job job = aot_depthwise_prepare(layer);
  for (int32_t i = 0; i < plane_words; ++i) {
    planes[4 * i] = planes[4 * i + 1] = planes[4 * i + 2] = planes[4 * i + 3] = border;
  }
  for (int32_t first = 0; first < layer->output.height; first += layer->band) {
    const int32_t rows = aot_min(layer->band, layer->output.height - first);
    for (int32_t channel = 0; channel < channels; channel += 4) {
      aot_spread_band(layer, &spread, input + channel, first, rows, planes);
      for (int32_t i = 0; i < 4; ++i) {
        const aot_word *const plane = planes + i * plane_words;
        job.output = output + first * row + channel + i;
        aot_depthwise_channel(layer, &job, channel + i, plane, plane + rows * layer->row_words);
      }
    }
  }
  aot_clamp_all(output, layer->output.height * row, layer->min, layer->max);
}

#endif
