/* SPDX-License-Identifier: Apache-2.0 */
/* A matrix times rows that follow each other, two rows at a time: CONV_2D with windows of one pixel, and
 * FULLY_CONNECTED of several rows. */
#ifndef AOT_ROWS_MATMUL_H
#define AOT_ROWS_MATMUL_H

#include "matmul.h"

struct aot_rows_matmul {
  int32_t rows;
  int32_t input_depth; /* without the padding of the matrix */
  struct aot_matmul matmul;
  int32_t min;
  int32_t max;
};

/* `scratch`: 4 * depth bytes. */
static AOT_NOINLINE __attribute__((unused)) void aot_rows_matmul(const struct aot_rows_matmul *layer,
                                                                 const int8_t *input, int8_t *output,
                                                                 int8_t *scratch) {
  const int32_t depth = layer->input_depth;
  const int32_t whole = depth / 4 * 4;
  const int32_t channels = layer->matmul.channels;
  aot_word *const wide = (aot_word *)(void *)scratch;
  struct aot_matmul_run run = aot_matmul_prepare(&layer->matmul, wide, 2);
  for (int32_t row = 0; row < layer->rows; row += 2) {
    /* The last of an odd number of rows is computed twice. */
    const int32_t other = row + 1 < layer->rows ? row + 1 : row;
    const int8_t *const first = input + row * depth;
    const int8_t *const second = input + other * depth;
    aot_word *const end = aot_widen_pair(wide, first, second, whole);
    if (whole != depth) {
      int8_t rest[2][4] = {{0}};
      for (int32_t i = whole; i < depth; ++i) {
        rest[0][i - whole] = first[i];
        rest[1][i - whole] = second[i];
      }
      (void)aot_widen_pair(end, rest[0], rest[1], 4);
    }
    aot_matmul_all(&run, 2, output + row * channels, output + other * channels);
  }
  aot_clamp_all(output, layer->rows * channels, layer->min, layer->max);
}

#endif
