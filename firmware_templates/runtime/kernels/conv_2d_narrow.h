/* SPDX-License-Identifier: Apache-2.0 */
/* CONV_2D of an input with few channels, such as a spectrogram: its windows have too few inputs, in rows too
 * short, for what conv_2d_matmul.h does for each of them. Here weights are widened once, into scratch; the input
 * rows that a band of output rows needs are copied with their border; the windows of a strip are gathered from
 * there straight into the form of the products; and those are made for the whole strip at once, in the loops of
 * conv_2d_narrow_dsp.h. No dilation.
 *
 * A window is so many words, of two inputs each. Of each row, four inputs at a time are two words, 0 and 2, then
 * 1 and 3. Of what is left of it, three are one word, 0 and 2, and the single input 1; two are a word; one is a
 * single input. Single inputs make words with those of the next row, which follow that row's words; the last of
 * an odd number of rows makes a word whose other weight is 0.
 *
 * All constants of the layer are one stream. For each block of channels a, b, c, d:
 *   4 words        biases
 *   1 word         the left shifts of their weights, as bytes; biases are shifted already
 *   2 * words      weights as bytes a, b, a, b, then c, d, c, d, for the lower and the upper input of a word
 *   8 or 12 words  multiplier and constant of each channel; in the signed way its right shift too
 * The two ways from sums to int8 are those of matmul.h, after a shift to the left that the weights bring. */
#ifndef AOT_CONV_2D_NARROW_H
#define AOT_CONV_2D_NARROW_H

#include "conv_2d_border.h"
#include "conv_2d_narrow_dsp.h"

struct aot_conv_2d_narrow {
  struct aot_image input;
  struct aot_image output; /* channels: a multiple of 4 */
  struct aot_window window;
  int32_t zero_point;           /* of the input: the value of its border */
  struct aot_image copied_size; /* of the rows, with their border, that a band of outputs needs */
  int32_t band;                 /* rows of outputs */
  int32_t words;                /* of a window, at most AOT_NARROW_STEPS */
  int32_t strip;                /* pairs of windows that are gathered at once */
  const uint32_t *stream;
  int32_t parameters; /* words of each block that follow its weights */
  aot_narrow_finish finish;
  int32_t min;
  int32_t max;
};

/* Two int16 shifted to the left; both results fit. */
AOT_INLINE uint32_t aot_shift_both(uint32_t word, uint32_t shift) {
  return (word << shift) & ~(((UINT32_C(1) << shift) - 1u) << 16);
}

/* The constants in the form of conv_2d_narrow_dsp.h. Returns their end. */
AOT_INLINE aot_word *aot_narrow_constants(const struct aot_conv_2d_narrow *layer, aot_word *to) {
  const uint32_t *from = layer->stream;
  for (int32_t channel = 0; channel < layer->output.channels; channel += 4) {
    const uint32_t shifts = from[4];
    memcpy(to, from, 4 * sizeof *to);
    to[4] = aot_narrow_code(layer->finish, layer->words);
    from += 5;
    to += 5;
    for (int32_t k = 0; k < layer->words; ++k) {
      to[0] = aot_shift_both(aot_widen_even(from[0]), shifts & 0xffu);
      to[1] = aot_shift_both(aot_widen_odd(from[0]), shifts >> 8 & 0xffu);
      to[2] = aot_shift_both(aot_widen_even(from[1]), shifts >> 16 & 0xffu);
      to[3] = aot_shift_both(aot_widen_odd(from[1]), shifts >> 24);
      from += 2;
      to += 4;
    }
    memcpy(to, from, (size_t)layer->parameters * sizeof *to);
    from += layer->parameters;
    to += layer->parameters;
  }
  memset(to, 0, 4 * sizeof *to);
  to[4] = aot_narrow_end();
  return to + 5;
}

/* Two words of each of two windows: bytes 0 and 2, then 1 and 3. */
AOT_INLINE aot_word *aot_widen_four(aot_word *wide, uint32_t first, uint32_t second) {
#if AOT_DSP
  __asm__ volatile(AOT_WIDEN_FOUR("%[first]", "%[second]")
                   : [wide] "+r"(wide)
                   : [first] "r"(first), [second] "r"(second)
                   : "r4", "r5", "r6", "r8", "memory");
  return wide;
#else
  wide[0] = aot_widen_even(first);
  wide[1] = aot_widen_even(second);
  wide[2] = aot_widen_odd(first);
  wide[3] = aot_widen_odd(second);
  return wide + 4;
#endif
}

/* The word that a row of a window ends with, if any, and in `single` the input that it leaves over, if any.
 * After three inputs the next byte is read too. */
AOT_INLINE uint32_t aot_row_end(const int8_t *row, int32_t rest, uint32_t *single) {
  if (rest == 3) {
    const uint32_t bytes = aot_load4(row);
    *single = aot_widen_odd(bytes);
    return aot_widen_even(bytes);
  }
  if (rest == 2) {
    return aot_pack_low((uint32_t)row[0], (uint32_t)row[1]);
  }
  *single = (uint32_t)row[0];
  return 0;
}

/* The words of two windows side by side. Returns their end. */
AOT_INLINE aot_word *aot_gather_pair(const struct aot_conv_2d_narrow *layer, const int8_t *first,
                                     const int8_t *second, aot_word *wide) {
  const int32_t depth = layer->copied_size.channels;
  const int32_t run = layer->window.width * depth, rest = run % 4;
  uint32_t above[2] = {0, 0}, single[2] = {0, 0};
  AOT_UNROLL(16)
  for (int32_t y = 0; y < layer->window.height; ++y) {
    AOT_UNROLL(8)
    for (int32_t i = 0; i + 4 <= run; i += 4) {
      wide = aot_widen_four(wide, aot_load4(first + i), aot_load4(second + i));
    }
    if (rest != 0) {
      const uint32_t a = aot_row_end(first + run - rest, rest, &single[0]);
      const uint32_t b = aot_row_end(second + run - rest, rest, &single[1]);
      if (rest >= 2) {
        *wide++ = a;
        *wide++ = b;
      }
    }
    if (rest % 2 != 0) {
      if (y % 2 != 0) {
        *wide++ = aot_pack_low(above[0], single[0]);
        *wide++ = aot_pack_low(above[1], single[1]);
      } else if (y + 1 == layer->window.height) {
        *wide++ = single[0];
        *wide++ = single[1];
      }
      above[0] = single[0];
      above[1] = single[1];
    }
    first += layer->copied_size.width * depth;
    second += layer->copied_size.width * depth;
  }
  return wide;
}

/* The outputs of so many windows, gathered strip by strip. */
AOT_INLINE void aot_narrow_windows(const struct aot_conv_2d_narrow *layer, struct aot_copy_walk *walk,
                                   int32_t windows, struct aot_narrow_job *job) {
  const int32_t channels = layer->output.channels;
  for (int32_t left = windows; left > 0;) {
    const int32_t pairs = left == 1 ? 1 : aot_min(layer->strip, left / 2);
    aot_word *next = job->gathered;
    for (int32_t i = 0; i < pairs; ++i) {
      const int8_t *const first = aot_take_window(walk);
      /* The last of an odd number of windows is computed twice. */
      const int8_t *const second = left == 1 ? first : aot_take_window(walk);
      next = aot_gather_pair(layer, first, second, next);
    }
    job->wide_end = next;
    job->second = left == 1 ? job->first : job->first + channels;
    aot_narrow_strip(job, layer->words, channels / 4, layer->finish);
    job->first += (left == 1 ? 1 : 2 * pairs) * channels;
    left -= 2 * pairs;
  }
}

/* `scratch`: the constants in the form of conv_2d_narrow_dsp.h, 8 bytes for each word of the pairs of windows of
 * a strip, and the copy of a band with one byte more, in whole words. */
AOT_INLINE void aot_conv_2d_narrow(const struct aot_conv_2d_narrow *layer, const int8_t *input, int8_t *output,
                                   int8_t *scratch) {
  const struct aot_image *size = &layer->copied_size;
  const int32_t height = layer->output.height, width = layer->output.width;
  aot_word *const constants = (aot_word *)(void *)scratch;
  aot_word *const gathered = aot_narrow_constants(layer, constants);
  int8_t *const copy = (int8_t *)(gathered + 2 * layer->words * layer->strip);
  struct aot_narrow_job job;
  job.wide = gathered;
  job.gathered = gathered;
  job.constants = constants;
  job.pair_bytes = 8u * (uint32_t)layer->words;
  job.channel_bytes = (uint32_t)layer->output.channels;
  job.first = output;
  aot_fill(copy, size->height * size->width * size->channels, layer->zero_point);
  for (int32_t y = 0; y < height; y += layer->band) {
    struct aot_copy_walk walk = aot_walk_over(copy, &layer->window, size, width);
    aot_copy_rows(&layer->input, &layer->window, size, layer->zero_point, input,
                  y * layer->window.stride_height - layer->window.pad_top, copy);
    aot_narrow_windows(layer, &walk, aot_min(layer->band, height - y) * width, &job);
  }
  aot_clamp_all(output, height * width * layer->output.channels, layer->min, layer->max);
}

#endif
