/* SPDX-License-Identifier: Apache-2.0 */
/* CONV_2D as a matrix product: the inputs under the windows of two output pixels are widened side by side,
 * then all output channels of both are computed at once. No dilation. */
#ifndef AOT_CONV_2D_MATMUL_H
#define AOT_CONV_2D_MATMUL_H

#include "matmul.h"

/* Bytes by which a gathered window may be overrun. */
#define AOT_GATHER_SLACK 4

struct aot_conv_2d_matmul {
  struct aot_image input;
  struct aot_image output;
  struct aot_window window;
  int32_t zero_point;           /* of the input: the value of its border */
  int32_t copied;               /* 1 if the input is copied with its border before everything else */
  struct aot_image copied_size; /* of that copy */
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

/* Upper left tap of one window, and the column of its output pixel. */
struct aot_window_place {
  int32_t y;
  int32_t x;
  int32_t column;
};

/* Words as long as they last; the C library's functions may be slow for a few bytes. */
AOT_INLINE void aot_fill(int8_t *bytes, int32_t count, int32_t value) {
  const uint32_t word = (uint32_t)(value & 0xff) * 0x01010101u;
  for (; count >= 4; count -= 4) {
    memcpy(bytes, &word, 4);
    bytes += 4;
  }
  for (int32_t i = 0; i < count; ++i) {
    bytes[i] = (int8_t)value;
  }
}

AOT_INLINE void aot_copy_bytes(int8_t *to, const int8_t *from, int32_t count) {
  for (; count >= 4; count -= 4) {
    memcpy(to, from, 4);
    to += 4;
    from += 4;
  }
  for (int32_t i = 0; i < count; ++i) {
    to[i] = from[i];
  }
}

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
    wide = aot_widen_pair(wide, source->pixels + a, source->pixels + b, run);
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
      wide = aot_widen_pair(wide, a, b, depth);
    }
  }
}

/* The bytes under a window inside of a copy of the input. Whole words are copied: what is written too much is
 * overwritten by the next row, what is read too much is still in scratch. */
AOT_INLINE void aot_gather_words(const struct aot_conv_2d_matmul *layer,
                                 const struct aot_window_source *source,
                                 const struct aot_window_place *place, int8_t *bytes) {
  const int32_t depth = source->size.channels;
  const int32_t run = layer->window.width * depth;
  const int32_t row = source->size.width * depth;
  const int8_t *pixels = source->pixels + (place->y * source->size.width + place->x) * depth;
  for (int32_t y = 0; y < layer->window.height; ++y) {
    if (run > 8 && run <= 12) {
      /* Three pixels of three colours. */
      memcpy(bytes, pixels, 12);
    } else {
      for (int32_t i = 0; i < run; i += 4) {
        memcpy(bytes + i, pixels + i, 4);
      }
    }
    bytes += run;
    pixels += row;
  }
}

/* The input with its border. */
AOT_INLINE void aot_copy_with_border(const struct aot_conv_2d_matmul *layer, const int8_t *input,
                                     int8_t *copy) {
  const struct aot_image *size = &layer->copied_size;
  const int32_t row = size->width * size->channels;
  const int32_t left = layer->window.pad_left * size->channels;
  const int32_t run = layer->input.width * size->channels;
  aot_fill(copy, size->height * row, layer->zero_point);
  copy += layer->window.pad_top * row + left;
  for (int32_t y = 0; y < layer->input.height; ++y) {
    aot_copy_bytes(copy, input, run);
    input += run;
    copy += row;
  }
}

AOT_INLINE struct aot_window_source aot_window_source(const struct aot_conv_2d_matmul *layer,
                                                      const int8_t *input, int8_t *copy) {
  struct aot_window_source source = {input, layer->input, -layer->window.pad_left, -layer->window.pad_top};
  if (layer->copied) {
    aot_copy_with_border(layer, input, copy);
    source.pixels = copy;
    source.size = layer->copied_size;
    source.first_x = source.first_y = 0;
  }
  return source;
}

/* Widens the inputs of two windows, in the fastest way that suits where they lie. `gathered` is scratch for
 * both, or a pixel of the border where pixels are whole words. */
AOT_INLINE void aot_widen_two_windows(const struct aot_conv_2d_matmul *layer,
                                      const struct aot_window_source *source,
                                      const struct aot_window_place *first,
                                      const struct aot_window_place *second, int8_t *gathered,
                                      aot_word *wide) {
  const int32_t depth = layer->matmul.depth;
  int8_t *const other = gathered + depth + AOT_GATHER_SLACK;
  const int32_t inside = layer->copied || (aot_window_is_inside(&layer->window, source, first) &&
                                           aot_window_is_inside(&layer->window, source, second));
  if (inside && source->size.channels * layer->window.width % 4 == 0) {
    aot_widen_windows(layer, source, first, second, wide);
  } else if (source->size.channels % 4 == 0) {
    aot_widen_border_windows(layer, source, first, second, gathered, wide);
  } else {
    if (layer->copied) {
      aot_gather_words(layer, source, first, gathered);
      aot_gather_words(layer, source, second, other);
    } else {
      aot_gather_window(layer, source, first, gathered);
      aot_gather_window(layer, source, second, other);
    }
    (void)aot_widen_pair(wide, gathered, other, depth);
  }
}

/* `scratch`: 4 * depth bytes of widened inputs, 2 * (depth + AOT_GATHER_SLACK) bytes of gathered ones, and the
 * copy, if any, with AOT_GATHER_SLACK bytes more. */
static AOT_NOINLINE __attribute__((unused)) void aot_conv_2d_matmul(const struct aot_conv_2d_matmul *layer,
                                                                    const int8_t *input, int8_t *output,
                                                                    int8_t *scratch) {
  const int32_t depth = layer->matmul.depth;
  const int32_t channels = layer->output.channels;
  const int32_t pixels = layer->output.height * layer->output.width;
  aot_word *const wide = (aot_word *)(void *)scratch;
  int8_t *const gathered = scratch + 4 * depth;
  const struct aot_window_source source =
      aot_window_source(layer, input, gathered + 2 * (depth + AOT_GATHER_SLACK));
  struct aot_matmul_run run = aot_matmul_prepare(&layer->matmul, wide, 2);
  struct aot_window_place next = {source.first_y, source.first_x, 0};

  aot_fill(gathered, 2 * (depth + AOT_GATHER_SLACK), layer->zero_point);
  for (int32_t i = 0; i < pixels; i += 2) {
    const struct aot_window_place first = next;
    aot_next_window(layer, &source, &next);
    /* The last of an odd number of pixels is computed twice. */
    const int32_t last = i + 1 == pixels;
    const struct aot_window_place second = last ? first : next;
    aot_widen_two_windows(layer, &source, &first, &second, gathered, wide);
    int8_t *const pixel = output + i * channels;
    aot_matmul_all(&run, 2, pixel, last ? pixel : pixel + channels);
    aot_next_window(layer, &source, &next);
  }
  aot_clamp_all(output, pixels * channels, layer->min, layer->max);
}

#endif
