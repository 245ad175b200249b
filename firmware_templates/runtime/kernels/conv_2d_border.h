/* SPDX-License-Identifier: Apache-2.0 */
/* A copy of a convolution's input that has a border around it, and the windows that slide over such a copy. */
#ifndef AOT_CONV_2D_BORDER_H
#define AOT_CONV_2D_BORDER_H

#include "kernel.h"

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

/* Rows `first` to `first + size->height - 1` of the input with its border, into a copy of the border's value. */
AOT_INLINE void aot_copy_rows(const struct aot_image *image, const struct aot_window *window,
                              const struct aot_image *size, int32_t border, const int8_t *input, int32_t first,
                              int8_t *copy) {
  const int32_t run = image->width * image->channels;
  copy += window->pad_left * image->channels;
  for (int32_t y = first; y < first + size->height; ++y) {
    if (y >= 0 && y < image->height) {
      aot_copy_bytes(copy, input + y * run, run);
    } else {
      aot_fill(copy, run, border);
    }
    copy += size->width * size->channels;
  }
}

/* The input with its border, whose value is `border`. */
AOT_INLINE void aot_copy_with_border(const struct aot_image *image, const struct aot_window *window,
                                     const struct aot_image *size, int32_t border, const int8_t *input,
                                     int8_t *copy) {
  aot_fill(copy, size->height * size->width * size->channels, border);
  aot_copy_rows(image, window, size, border, input, -window->pad_top, copy);
}

/* Windows that slide over a copy of the input, which needs no border. */
struct aot_copy_walk {
  const int8_t *next; /* the first tap of the next window */
  int32_t column;     /* of its output pixel */
  int32_t width;      /* of the output */
  int32_t step;       /* bytes to the window to the right */
  int32_t back;       /* and from the last of a row to the first of the next */
};

AOT_INLINE struct aot_copy_walk aot_walk_over(const int8_t *copy, const struct aot_window *window,
                                              const struct aot_image *size, int32_t output_width) {
  const int32_t step = window->stride_width * size->channels;
  struct aot_copy_walk walk;
  walk.next = copy;
  walk.column = 0;
  walk.width = output_width;
  walk.step = step;
  walk.back = window->stride_height * size->width * size->channels - output_width * step;
  return walk;
}

AOT_INLINE const int8_t *aot_take_window(struct aot_copy_walk *walk) {
  const int8_t *const taken = walk->next;
  walk->next += walk->step;
  if (++walk->column == walk->width) {
    walk->column = 0;
    walk->next += walk->back;
  }
  return taken;
}

#endif
