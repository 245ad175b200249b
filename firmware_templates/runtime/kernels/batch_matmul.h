/* SPDX-License-Identifier: Apache-2.0 */
/* BATCH_MATMUL: every matrix of one stack times that of another. Which dimension of a matrix lies along its
 * rows is a matter of steps, so that no operand is transposed in memory. */
#ifndef AOT_BATCH_MATMUL_H
#define AOT_BATCH_MATMUL_H

#include "kernel.h"

/* Loops over the matrices of the output, the last one innermost; a step of 0 repeats a matrix. */
struct aot_matrix_stacks {
  int32_t size[3];
  int32_t first_step[3];
  int32_t second_step[3];
};

struct aot_batch_matmul {
  struct aot_matrix_stacks stacks;
  int32_t rows;
  int32_t depth;
  int32_t columns;
  int32_t first_row_step;
  int32_t first_depth_step;
  int32_t second_column_step;
  int32_t second_depth_step;
  int32_t first_offset;  /* minus the zero point */
  int32_t second_offset; /* minus the zero point */
  int32_t multiplier;    /* 0 or 2^30 .. 2^31 - 1 */
  int32_t shift;         /* -31 .. 30, negative shifts right */
  int32_t zero_point;
};

/* `columns` outputs of one row side by side; columns is a constant of at most AOT_BLOCK. */
AOT_INLINE void aot_batch_matmul_block(const struct aot_batch_matmul *layer, const int8_t *first,
                                       const int8_t *second, int8_t *output, int32_t columns) {
  int32_t sums[AOT_BLOCK] = {0};
  for (int32_t i = 0; i < layer->depth; ++i) {
    const int32_t value = *first + layer->first_offset;
#pragma GCC unroll 4
    for (int32_t k = 0; k < columns; ++k) {
      sums[k] += value * (second[k * layer->second_column_step] + layer->second_offset);
    }
    first += layer->first_depth_step;
    second += layer->second_depth_step;
  }
  for (int32_t k = 0; k < columns; ++k) {
    const int32_t scaled = aot_scale(sums[k], layer->multiplier, layer->shift);
    output[k] = (int8_t)aot_clamp(scaled + layer->zero_point, INT8_MIN, INT8_MAX);
  }
}

/* One product; returns the end of what it wrote. */
AOT_INLINE int8_t *aot_matrix_product(const struct aot_batch_matmul *layer, const int8_t *first,
                                      const int8_t *second, int8_t *output) {
  const int32_t blocked = layer->columns / AOT_BLOCK * AOT_BLOCK;
  for (int32_t row = 0; row < layer->rows; ++row) {
    for (int32_t column = 0; column < blocked; column += AOT_BLOCK) {
      aot_batch_matmul_block(layer, first, second + column * layer->second_column_step, output + column,
                             AOT_BLOCK);
    }
    for (int32_t column = blocked; column < layer->columns; ++column) {
      aot_batch_matmul_block(layer, first, second + column * layer->second_column_step, output + column, 1);
    }
    first += layer->first_row_step;
    output += layer->columns;
  }
  return output;
}

AOT_INLINE void aot_batch_matmul(const struct aot_batch_matmul *layer, const int8_t *first,
                                 const int8_t *second, int8_t *restrict output) {
  const struct aot_matrix_stacks *stacks = &layer->stacks;
  for (int32_t i = 0; i < stacks->size[0]; ++i) {
    for (int32_t j = 0; j < stacks->size[1]; ++j) {
      for (int32_t k = 0; k < stacks->size[2]; ++k) {
        output = aot_matrix_product(
            layer, first + i * stacks->first_step[0] + j * stacks->first_step[1] + k * stacks->first_step[2],
            second + i * stacks->second_step[0] + j * stacks->second_step[1] + k * stacks->second_step[2],
            output);
      }
    }
  }
}

#endif
