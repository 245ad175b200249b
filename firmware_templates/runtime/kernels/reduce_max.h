/* SPDX-License-Identifier: Apache-2.0 */
/* REDUCE_MAX over any dimensions of a tensor, merged by the generator into five loops:
 * kept, reduced, kept, reduced, kept. */
#ifndef AOT_REDUCE_MAX_H
#define AOT_REDUCE_MAX_H

#include "kernel.h"

struct aot_reduce_max {
  int32_t outer;         /* kept */
  int32_t reduced_outer; /* reduced */
  int32_t middle;        /* kept */
  int32_t reduced_inner; /* reduced */
  int32_t inner;         /* kept */
};

AOT_INLINE void aot_reduce_max(const struct aot_reduce_max *layer, const int8_t *restrict input,
                               int8_t *restrict output) {
  const int32_t inner_block = layer->reduced_inner * layer->inner;
  const int32_t outer_block = layer->middle * inner_block;
  for (int32_t i = 0; i < layer->outer; ++i) {
    for (int32_t j = 0; j < layer->middle; ++j) {
      for (int32_t k = 0; k < layer->inner; ++k) {
        int32_t largest = INT8_MIN;
        for (int32_t m = 0; m < layer->reduced_outer; ++m) {
          const int8_t *x =
              input + (i * layer->reduced_outer + m) * outer_block + j * inner_block + k;
          for (int32_t n = 0; n < layer->reduced_inner; ++n) {
            largest = aot_max(largest, *x);
            x += layer->inner;
          }
        }
        *output++ = (int8_t)largest;
      }
    }
  }
}

#endif
