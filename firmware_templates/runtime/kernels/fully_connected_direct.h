/* SPDX-License-Identifier: Apache-2.0 */
/* FULLY_CONNECTED of one row as a matrix product without scratch: each block of channels widens the inputs
 * anew. */
#ifndef AOT_FULLY_CONNECTED_DIRECT_H
#define AOT_FULLY_CONNECTED_DIRECT_H

#include "matmul.h"

struct aot_fully_connected_direct {
  struct aot_matmul matmul; /* without padding of the depth */
  int32_t min;
  int32_t max;
};

/* `input` lies at a word address. */
static AOT_NOINLINE __attribute__((unused)) void aot_fully_connected_direct(
    const struct aot_fully_connected_direct *layer, const int8_t *input, int8_t *output) {
  const aot_word *const words = (const aot_word *)(const void *)input;
  struct aot_matmul_run run = aot_matmul_prepare(&layer->matmul, words, AOT_DIRECT);
  aot_matmul_all(&run, AOT_DIRECT, output, output);
  aot_clamp_all(output, layer->matmul.channels, layer->min, layer->max);
}

#endif
