/* SPDX-License-Identifier: Apache-2.0 */
/* A sparse matrix times rows that follow each other, four rows at a time: CONV_2D with windows of one pixel,
 * and FULLY_CONNECTED of several rows. */
#ifndef AOT_ROWS_SPARSE_H
#define AOT_ROWS_SPARSE_H

#include "sparse_matmul.h"

struct aot_rows_sparse {
  int32_t rows; /* at least 4 */
  int32_t depth;
  struct aot_sparse_matmul matmul;
  int32_t min;
  int32_t max;
};

/* `scratch`: 8 * depth bytes. */
static AOT_NOINLINE __attribute__((unused)) void aot_rows_sparse(const struct aot_rows_sparse *layer,
                                                                 const int8_t *input, int8_t *output,
                                                                 int8_t *scratch) {
  const int32_t channels = layer->matmul.channels;
  aot_word *const wide = (aot_word *)(void *)scratch;
  for (int32_t next = 0; next < layer->rows; next += AOT_SPARSE_POSITIONS) {
    /* The last rows are four too, of which some are computed twice. */
    const int32_t last = layer->rows - AOT_SPARSE_POSITIONS;
    const int32_t row = next < last ? next : last;
    const int8_t *rows[AOT_SPARSE_POSITIONS];
    for (int32_t i = 0; i < AOT_SPARSE_POSITIONS; ++i) {
      rows[i] = input + (row + i) * layer->depth;
    }
    (void)aot_widen_quad(wide, rows, layer->depth);
    aot_sparse_all(&layer->matmul, wide, output + row * channels);
  }
  aot_clamp_all(output, layer->rows * channels, layer->min, layer->max);
}

#endif
