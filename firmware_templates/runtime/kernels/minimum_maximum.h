/* SPDX-License-Identifier: Apache-2.0 */
/* MINIMUM and MAXIMUM of two tensors of one quantisation, with broadcasting. */
#ifndef AOT_MINIMUM_MAXIMUM_H
#define AOT_MINIMUM_MAXIMUM_H

#include "pairs.h"

struct aot_minimum_maximum {
  struct aot_pairs pairs;
  int32_t greater; /* 1 to take the greater of two values, 0 to take the lesser */
};

AOT_INLINE void aot_minimum_maximum(const struct aot_minimum_maximum *layer, const int8_t *first,
                                    const int8_t *second, int8_t *restrict output) {
  const struct aot_pairs *pairs = &layer->pairs;
  for (int32_t row = 0; row < aot_pair_rows(pairs); ++row) {
    const int8_t *x = first + aot_pair_row(pairs, pairs->first_step, row);
    const int8_t *y = second + aot_pair_row(pairs, pairs->second_step, row);
    for (int32_t l = 0; l < pairs->size[3]; ++l) {
      *output++ = (int8_t)(layer->greater ? aot_max(*x, *y) : aot_min(*x, *y));
      x += pairs->first_step[3];
      y += pairs->second_step[3];
    }
  }
}

#endif
