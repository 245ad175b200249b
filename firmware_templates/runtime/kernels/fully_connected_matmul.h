/* SPDX-License-Identifier: Apache-2.0 */
/* FULLY_CONNECTED of one row as a matrix product. */
#ifndef AOT_FULLY_CONNECTED_MATMUL_H
#define AOT_FULLY_CONNECTED_MATMUL_H

#include "matmul.h"

struct aot_fully_connected_matmul {
  int32_t input_depth; /* without the padding of the matrix */
  struct aot_matmul matmul;
  int32_t min;
  int32_t max;
};

/* Widens `count` bytes (a multiple of 4) of one row. Returns the end of what it wrote. */
AOT_INLINE aot_word *aot_widen_single(aot_word *wide, const int8_t *row, int32_t count) {
  for (const int8_t *const end = row + count; row != end; row += 4) {
    const uint32_t word = aot_load4(row);
    wide[0] = aot_widen_even(word);
    wide[1] = aot_widen_odd(word);
    wide += 2;
  }
  return wide;
}

/* `scratch`: 2 bytes per input of the padded matrix. */
static AOT_NOINLINE __attribute__((unused)) void aot_fully_connected_matmul(
    const struct aot_fully_connected_matmul *layer, const int8_t *input, int8_t *output, int8_t *scratch) {
  const int32_t whole = layer->input_depth / 4 * 4;
  aot_word *const wide = (aot_word *)(void *)scratch;
  struct aot_matmul_run run = aot_matmul_prepare(&layer->matmul, wide, 1);
  aot_word *next = aot_widen_single(wide, input, whole);
  if (whole != layer->matmul.depth) {
    int8_t rest[8] = {0, 0, 0, 0, 0, 0, 0, 0};
    for (int32_t i = whole; i < layer->input_depth; ++i) {
      rest[i - whole] = input[i];
    }
    (void)aot_widen_single(next, rest, layer->matmul.depth - whole);
  }
  aot_matmul_all(&run, 1, output, output);
  aot_clamp_all(output, layer->matmul.channels, layer->min, layer->max);
}

#endif
