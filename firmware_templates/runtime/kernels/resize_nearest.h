/* SPDX-License-Identifier: Apache-2.0 */
/* RESIZE_NEAREST_NEIGHBOR to a size that is no multiple of the input's; the generator has found the nearest
 * row and column of each output pixel. */
#ifndef AOT_RESIZE_NEAREST_H
#define AOT_RESIZE_NEAREST_H

#include "kernel.h"

struct aot_resize_nearest {
  int32_t height; /* of the output */
  int32_t width;
  int32_t channels;
  const int32_t *rows;    /* per row of the output: first element of the input's row */
  const int32_t *columns; /* per column of the output: first element of the pixel in that row */
};

AOT_INLINE void aot_resize_nearest(const struct aot_resize_nearest *layer, const int8_t *restrict input,
                                   int8_t *restrict output) {
  for (int32_t y = 0; y < layer->height; ++y) {
    for (int32_t x = 0; x < layer->width; ++x) {
      memcpy(output, input + layer->rows[y] + layer->columns[x], (size_t)layer->channels);
      output += layer->channels;
    }
  }
}

#endif
