/* SPDX-License-Identifier: Apache-2.0 */
/* FULLY_CONNECTED of one row with sparse weights. */
#ifndef AOT_FULLY_CONNECTED_SPARSE_H
#define AOT_FULLY_CONNECTED_SPARSE_H

#include "sparse_matmul.h"

struct aot_fully_connected_sparse {
  int32_t depth; /* a multiple of 4 */
  struct aot_sparse_matmul matmul;
  int32_t min;
  int32_t max;
};

/* `scratch`: 2 * depth bytes. */
static AOT_NOINLINE __attribute__((unused)) void aot_fully_connected_sparse(
    const struct aot_fully_connected_sparse *layer, const int8_t *input, int8_t *output, int8_t *scratch) {
  aot_word *const wide = (aot_word *)(void *)scratch;
  for (int32_t i = 0; i < layer->depth; i += 4) {
    const uint32_t word = aot_load4(input + i);
    wide[i / 2] = aot_widen_even(word);
    wide[i / 2 + 1] = aot_widen_odd(word);
  }
  aot_sparse_all(&layer->matmul, wide, output);
  aot_clamp_all(output, layer->matmul.channels, layer->min, layer->max);
}

#endif
