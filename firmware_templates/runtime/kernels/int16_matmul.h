/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of 16-bit activations times a matrix of int8 weights, four outputs side by side. */
#ifndef AOT_INT16_MATMUL_H
#define AOT_INT16_MATMUL_H

#include "dsp.h"
#include "int16.h"

struct aot_int16_matmul {
  int32_t depth;   /* of a row; a multiple of 4 */
  int32_t outputs;
  int32_t chunk;   /* so many products never leave int32_t; a multiple of 4 */
  /* For each block of AOT_BLOCK outputs, each four activations and each output of the block a word of four
   * weights, those of activations 0, 2, 1 and 3 from its lowest byte up. */
  const uint32_t *weights;
  const int64_t *bias; /* [outputs, rounded up to a whole block] */
  struct aot_int16_rescale rescale;
};

struct aot_int16_rows {
  int32_t rows;
  struct aot_int16_matmul matmul;
};

/* Two activations at any address, the first one in the lower half. */
AOT_INLINE uint32_t aot_load_pair(const aot_int16 *pair) {
  uint32_t word;
  memcpy(&word, pair, sizeof word);
  return word;
}

/* sums[k] += products of the weights of output k of a block with `count` activations. */
AOT_INLINE void aot_int16_dot(uint32_t *sums, const uint32_t *weights, const aot_int16 *input, int32_t count) {
  for (int32_t i = 0; i < count; i += 4) {
    const uint32_t first = aot_load_pair(input + i), second = aot_load_pair(input + i + 2);
#pragma GCC unroll 4
    for (int32_t k = 0; k < AOT_BLOCK; ++k) {
      const uint32_t word = *weights++;
      sums[k] = aot_dual_mac(aot_widen_even(word), first, sums[k]);
      sums[k] = aot_dual_mac(aot_widen_odd(word), second, sums[k]);
    }
  }
}

/* All outputs of one row. */
AOT_INLINE void aot_int16_row(const struct aot_int16_matmul *layer, const aot_int16 *input,
                              aot_int16 *output) {
  const uint32_t *weights = layer->weights;
  for (int32_t block = 0; block < layer->outputs; block += AOT_BLOCK) {
    int64_t sums[AOT_BLOCK];
    for (int32_t k = 0; k < AOT_BLOCK; ++k) {
      sums[k] = layer->bias[block + k];
    }
    for (int32_t start = 0; start < layer->depth; start += layer->chunk) {
      const int32_t count = aot_min(layer->chunk, layer->depth - start);
      uint32_t parts[AOT_BLOCK] = {0};
      aot_int16_dot(parts, weights, input + start, count);
      weights += count;
      for (int32_t k = 0; k < AOT_BLOCK; ++k) {
        sums[k] += (int32_t)parts[k];
      }
    }
    const int32_t outputs = aot_min(AOT_BLOCK, layer->outputs - block);
    for (int32_t k = 0; k < outputs; ++k) {
      output[block + k] = aot_int16_output(&layer->rescale, sums[k], block + k);
    }
  }
}

AOT_INLINE void aot_int16_rows(const struct aot_int16_rows *layer, const void *restrict input,
                               void *restrict output) {
  const aot_int16 *row = (const aot_int16 *)input;
  aot_int16 *result = (aot_int16 *)output;
  for (int32_t i = 0; i < layer->rows; ++i) {
    aot_int16_row(&layer->matmul, row, result);
    row += layer->matmul.depth;
    result += layer->matmul.outputs;
  }
}

#endif
