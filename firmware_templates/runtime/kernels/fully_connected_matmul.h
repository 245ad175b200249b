/* SPDX-License-Identifier: Apache-2.0 */
/* FULLY_CONNECTED as a matrix product, row by row. */
#ifndef AOT_FULLY_CONNECTED_MATMUL_H
#define AOT_FULLY_CONNECTED_MATMUL_H

#include "matmul.h"

struct aot_fully_connected_matmul {
  int32_t rows;
  int32_t input_depth; /* without the padding of the matrix */
  struct aot_matmul matmul;
  int32_t min;
  int32_t max;
};

/* `scratch`: 2 bytes per input of the padded matrix. */
static AOT_NOINLINE __attribute__((unused)) void aot_fully_connected_matmul(
    const struct aot_fully_connected_matmul *layer, const int8_t *input, int8_t *output, int8_t *scratch) {
  const int32_t whole = layer->input_depth / 4;
  const int32_t rest = layer->input_depth % 4;
  aot_word *const wide = (aot_word *)(void *)scratch;
  for (int32_t i = whole * 2; i < layer->matmul.depth / 2; ++i) {
    wide[i] = 0;
  }
  for (int32_t row = 0; row < layer->rows; ++row) {
    for (int32_t i = 0; i < whole; ++i) {
      const uint32_t word = aot_load4(input);
      wide[2 * i] = aot_widen_even(word);
      wide[2 * i + 1] = aot_widen_odd(word);
      input += 4;
    }
    if (rest != 0) {
      int8_t last[4] = {0, 0, 0, 0};
      for (int32_t i = 0; i < rest; ++i) {
        last[i] = *input++;
      }
      wide[2 * whole] = aot_widen_even(aot_load4(last));
      wide[2 * whole + 1] = aot_widen_odd(aot_load4(last));
    }
    aot_matmul_single(&layer->matmul, wide, output);
    output += layer->matmul.channels;
  }
  aot_clamp_all(output - layer->rows * layer->matmul.channels, layer->rows * layer->matmul.channels,
                layer->min, layer->max);
}

#endif
