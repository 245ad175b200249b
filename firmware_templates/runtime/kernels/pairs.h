/* SPDX-License-Identifier: Apache-2.0 */
/* What kernels of two inputs share: loops over the output with an input repeated where it is broadcast. */
#ifndef AOT_PAIRS_H
#define AOT_PAIRS_H

#include "kernel.h"

struct aot_pairs {
  int32_t size[4];        /* the output's dimensions, merged into four loops, outermost first */
  int32_t first_step[4];  /* elements from one index to the next of each loop; 0 where it is broadcast */
  int32_t second_step[4];
};

/* Rows of the output; the innermost loop runs within a row. */
AOT_INLINE int32_t aot_pair_rows(const struct aot_pairs *pairs) {
  return pairs->size[0] * pairs->size[1] * pairs->size[2];
}

/* Where a row starts in an input with these steps. The divisors are constants; most layers have one row. */
AOT_INLINE int32_t aot_pair_row(const struct aot_pairs *pairs, const int32_t *step, int32_t row) {
  const int32_t k = row % pairs->size[2];
  const int32_t j = row / pairs->size[2] % pairs->size[1];
  const int32_t i = row / (pairs->size[2] * pairs->size[1]);
  return i * step[0] + j * step[1] + k * step[2];
}

#endif
