/* SPDX-License-Identifier: Apache-2.0 */
/* CONV_2D as a matrix product: the inputs under the windows of two output pixels are widened side by side,
 * then all output channels of both are computed at once. No dilation. */
#ifndef AOT_CONV_2D_MATMUL_H
#define AOT_CONV_2D_MATMUL_H

#include "conv_2d_border.h"
#include "matmul.h"

/* Bytes by which a gathered window may be overrun. */
#define AOT_GATHER_SLACK 4

struct aot_conv_2d_matmul {
  struct aot_image input;
  struct aot_image output;
  struct aot_window window;
  int32_t zero_point;           /* of the input: the value of its border */
  struct aot_image copied_size; /* with its border, for aot_conv_2d_copied() */
  struct aot_matmul matmul;
  int32_t min;
  int32_t max;
};

/* The image that the windows slide over: the input, or the copy of it that needs no border. */
struct aot_window_source {
  const int8_t *pixels;
  struct aot_image size;
  int32_t first_x;
  int32_t first_y;
};

/* aot_widen_pair() in a function of its own: it has many callers here, and is long beside a call. */
static AOT_NOINLINE __attribute__((unused)) aot_word *aot_widen_taps(aot_word *wide, const int8_t *first,
                                                                     const int8_t *second, int32_t count) {
  return aot_widen_pair(wide, first, second, count);
}

/* Upper left tap of one window, and the column of its output pixel. */
struct aot_window_place {
  int32_t y;
  int32_t x;
  int32_t column;
};

/* The pixel at y, x, or `outside` where there is none. */
AOT_INLINE const int8_t *aot_pixel_or(const struct aot_window_source *source, int32_t y, int32_t x,
                                      const int8_t *outside) {
  const struct aot_image *size = &source->size;
  const int32_t inside = y >= 0 && y < size->height && x >= 0 && x < size->width;
  return inside ? source->pixels + (y * size->width + x) * size->channels : outside;
}

/* The bytes under one window, tap by tap, the border included. */
AOT_INLINE void aot_gather_window(const struct aot_conv_2d_matmul *layer,
                                  const struct aot_window_source *source,
                                  const struct aot_window_place *place, int8_t *bytes) {
  const struct aot_window *window = &layer->window;
  const int32_t depth = source->size.channels;
  const int32_t run = window->width * depth;
  const struct aot_taps taps = aot_taps_inside(place->x, window->width, 1, source->size.width);
  const int32_t left = taps.first * depth;
  const int32_t inside = (taps.end - taps.first) * depth;
  int32_t row = (place->y * source->size.width + place->x) * depth + left;
  for (int32_t y = place->y; y < place->y + window->height; ++y) {
    if (y < 0 || y >= source->size.height) {
      aot_fill(bytes, run, layer->zero_point);
    } else {
      aot_fill(bytes, left, layer->zero_point);
      aot_copy_bytes(bytes + left, source->pixels + row, inside);
      aot_fill(bytes + left + inside, run - left - inside, layer->zero_point);
    }
    bytes += run;
    row += source->size.width * depth;
  }
}

AOT_INLINE int32_t aot_window_is_inside(const struct aot_window *window,
                                        const struct aot_window_source *source,
                                        const struct aot_window_place *place) {
  return place->y >= 0 && place->x >= 0 && place->y + window->height <= source->size.height &&
         place->x + window->width <= source->size.width;
}

/* To the next output pixel, from the end of a row to the next row. */
AOT_INLINE void aot_next_window(const struct aot_conv_2d_matmul *layer, const struct aot_window_source *source,
                                struct aot_window_place *place) {
  place->x += layer->window.stride_width;
  if (++place->column == layer->output.width) {
    place->column = 0;
    place->x = source->first_x;
    place->y += layer->window.stride_height;
  }
}

/* Widens the inputs of two windows that lie inside the image, whose rows are multiples of 4 bytes. */
AOT_INLINE void aot_widen_windows(const struct aot_conv_2d_matmul *layer,
                                  const struct aot_window_source *source,
                                  const struct aot_window_place *first,
                                  const struct aot_window_place *second, aot_word *wide) {
  const int32_t depth = source->size.channels;
  const int32_t row = source->size.width * depth;
  const int32_t run = layer->window.width * depth;
  int32_t a = (first->y * source->size.width + first->x) * depth;
  int32_t b = (second->y * source->size.width + second->x) * depth;
  if (run == 4) {
    (void)aot_widen_columns(wide, source->pixels + a, source->pixels + b, row, layer->window.height);
    return;
  }
  for (int32_t y = 0; y < layer->window.height; ++y) {
    wide = aot_widen_taps(wide, source->pixels + a, source->pixels + b, run);
    a += row;
    b += row;
  }
}

/* The same for windows that overlap the border, pixel by pixel; pixels are multiples of 4 bytes. `outside` is
 * a pixel of the border. */
AOT_INLINE void aot_widen_border_windows(const struct aot_conv_2d_matmul *layer,
                                         const struct aot_window_source *source,
                                         const struct aot_window_place *first,
                                         const struct aot_window_place *second, const int8_t *outside,
                                         aot_word *wide) {
  const int32_t depth = source->size.channels;
  for (int32_t y = 0; y < layer->window.height; ++y) {
    for (int32_t x = 0; x < layer->window.width; ++x) {
      const int8_t *const a = aot_pixel_or(source, first->y + y, first->x + x, outside);
      const int8_t *const b = aot_pixel_or(source, second->y + y, second->x + x, outside);
      wide = aot_widen_taps(wide, a, b, depth);
    }
  }
}

/* `run` bytes at any address; whole words are copied: what is written too much is overwritten by the next row
 * of the window, what is read too much is still in scratch. */
AOT_INLINE void aot_gather_run(int8_t *bytes, const int8_t *pixels, int32_t run) {
  if (run > 8 && run <= 12) {
    /* Three pixels of three colours. */
    memcpy(bytes, pixels, 12);
  } else {
    for (int32_t i = 0; i < run; i += 4) {
      memcpy(bytes + i, pixels + i, 4);
    }
  }
}

/* Widens the inputs of two windows that may overlap the border; where pixels are whole words, `gathered` is a
 * pixel of the border, else scratch for both windows. */
AOT_INLINE void aot_widen_two_windows(const struct aot_conv_2d_matmul *layer,
                                      const struct aot_window_source *source,
                                      const struct aot_window_place *first,
                                      const struct aot_window_place *second, int32_t words, int8_t *gathered,
                                      aot_word *wide) {
  const int32_t depth = layer->matmul.depth;
  int8_t *const other = gathered + depth + AOT_GATHER_SLACK;
  const int32_t inside = aot_window_is_inside(&layer->window, source, first) &&
                         aot_window_is_inside(&layer->window, source, second);
  if (inside && (words || source->size.channels * layer->window.width % 4 == 0)) {
    aot_widen_windows(layer, source, first, second, wide);
  } else if (words) {
    aot_widen_border_windows(layer, source, first, second, gathered, wide);
  } else {
    aot_gather_window(layer, source, first, gathered);
    aot_gather_window(layer, source, second, other);
    (void)aot_widen_taps(wide, gathered, other, depth);
  }
}

/* All outputs, from an input whose border the windows overlap; `words`: its pixels are multiples of 4 bytes. */
AOT_INLINE void aot_convolve_bordered(const struct aot_conv_2d_matmul *layer, struct aot_matmul_run *run,
                                      const int8_t *input, int8_t *output, int32_t words, int8_t *gathered,
                                      aot_word *wide) {
  const struct aot_window_source source = {input, layer->input, -layer->window.pad_left,
                                           -layer->window.pad_top};
  const int32_t channels = layer->output.channels;
  const int32_t pixels = layer->output.height * layer->output.width;
  struct aot_window_place next = {source.first_y, source.first_x, 0};
  aot_fill(gathered, 2 * (layer->matmul.depth + AOT_GATHER_SLACK), layer->zero_point);
  for (int32_t i = 0; i < pixels; i += 2) {
    const struct aot_window_place first = next;
    aot_next_window(layer, &source, &next);
    /* The last of an odd number of pixels is computed twice. */
    const int32_t last = i + 1 == pixels;
    const struct aot_window_place second = last ? first : next;
    aot_widen_two_windows(layer, &source, &first, &second, words, gathered, wide);
    int8_t *const pixel = output + i * channels;
    aot_matmul_all(run, 2, pixel, last ? pixel : pixel + channels);
    aot_next_window(layer, &source, &next);
  }
}

/* All outputs, from a copy of the input with its border. */
AOT_INLINE void aot_convolve_copy(const struct aot_conv_2d_matmul *layer, struct aot_matmul_run *run,
                                  const int8_t *copy, int8_t *output, int8_t *gathered, aot_word *wide) {
  const struct aot_window *window = &layer->window;
  const int32_t depth = layer->matmul.depth, taps = window->height;
  const int32_t pixel = layer->copied_size.channels, row = layer->copied_size.width * pixel;
  const int32_t taken = window->width * pixel;
  const int32_t channels = layer->output.channels;
  int8_t *const end = output + layer->output.height * layer->output.width * channels;
  struct aot_copy_walk walk = aot_walk_over(copy, window, &layer->copied_size, layer->output.width);
  int8_t *const other = gathered + depth + AOT_GATHER_SLACK;
  while (output != end) {
    const int8_t *first = aot_take_window(&walk);
    int8_t *const neighbour = output + channels;
    /* The last of an odd number of pixels is computed twice. */
    const int32_t last = neighbour == end;
    const int8_t *second = last ? first : aot_take_window(&walk);
    if (taken == 4) {
      (void)aot_widen_columns(wide, first, second, row, taps);
    } else if (taken % 4 == 0) {
      aot_word *next = wide;
      for (int32_t i = 0; i < taps; ++i) {
        next = aot_widen_taps(next, first + i * row, second + i * row, taken);
      }
    } else {
      for (int32_t at = 0; at < taps * taken; at += taken) {
        aot_gather_run(gathered + at, first, taken);
        aot_gather_run(other + at, second, taken);
        first += row;
        second += row;
      }
      (void)aot_widen_words(wide, gathered, other, depth);
    }
    aot_matmul_all(run, 2, output, last ? output : neighbour);
    output = last ? end : neighbour + channels;
  }
}

/* All outputs by one way of the above, which is a constant where this is inlined. */
AOT_INLINE void aot_convolve(const struct aot_conv_2d_matmul *layer, const int8_t *input, int8_t *output,
                             int8_t *scratch, int32_t words, int32_t copied) {
  const int32_t depth = layer->matmul.depth;
  aot_word *const wide = (aot_word *)(void *)scratch;
  int8_t *const gathered = scratch + 4 * depth;
  struct aot_matmul_run run = aot_matmul_prepare(&layer->matmul, wide, 2);
  if (copied) {
    int8_t *const copy = gathered + 2 * (depth + AOT_GATHER_SLACK);
    aot_copy_with_border(&layer->input, &layer->window, &layer->copied_size, layer->zero_point, input, copy);
    aot_convolve_copy(layer, &run, copy, output, gathered, wide);
  } else {
    aot_convolve_bordered(layer, &run, input, output, words, gathered, wide);
  }
  aot_clamp_all(output, layer->output.height * layer->output.width * layer->output.channels, layer->min,
                layer->max);
}

/* The kernels. `scratch`: 4 * depth bytes of widened inputs, 2 * (depth + AOT_GATHER_SLACK) bytes of gathered
 * ones, and the copy, if any, with AOT_GATHER_SLACK bytes more. Pixels are multiples of 4 bytes ... */
static AOT_NOINLINE __attribute__((unused)) void aot_conv_2d_matmul(const struct aot_conv_2d_matmul *layer,
                                                                    const int8_t *input, int8_t *output,
                                                                    int8_t *scratch) {
  aot_convolve(layer, input, output, scratch, 1, 0);
}

/* ... of any size ... */
static AOT_NOINLINE __attribute__((unused)) void aot_conv_2d_bytes(const struct aot_conv_2d_matmul *layer,
                                                                   const int8_t *input, int8_t *output,
                                                                   int8_t *scratch) {
  aot_convolve(layer, input, output, scratch, 0, 0);
}

/* ... and of any size, the input being copied with its border before everything else. */
static AOT_NOINLINE __attribute__((unused)) void aot_conv_2d_copied(const struct aot_conv_2d_matmul *layer,
                                                                    const int8_t *input, int8_t *output,
                                                                    int8_t *scratch) {
  aot_convolve(layer, input, output, scratch, 0, 1);
}

#endif
