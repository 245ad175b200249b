/* SPDX-License-Identifier: Apache-2.0 */
/* MEAN over any dimensions of a tensor, merged by the generator into five loops:
 * kept, reduced, kept, reduced, kept. */
#ifndef AOT_MEAN_H
#define AOT_MEAN_H

#include "kernel.h"

struct aot_mean {
  int32_t outer;          /* kept */
  int32_t reduced_outer;  /* reduced */
  int32_t middle;         /* kept */
  int32_t reduced_inner;  /* reduced */
  int32_t inner;          /* kept */
  int32_t sum_offset;     /* minus the input's zero point times the number of elements under a mean */
  int32_t multiplier;     /* holds the division by that number; 0 .. 2^31 - 1 */
  int32_t shift;          /* -31 .. 30, negative shifts right */
  int32_t zero_point;
};

AOT_INLINE void aot_mean(const struct aot_mean *layer, const int8_t *restrict input,
                         int8_t *restrict output) {
  const int32_t inner_block = layer->reduced_inner * layer->inner;
  const int32_t outer_block = layer->middle * inner_block;
  for (int32_t i = 0; i < layer->outer; ++i) {
    for (int32_t j = 0; j < layer->middle; ++j) {
      for (int32_t k = 0; k < layer->inner; ++k) {
        int32_t sum = layer->sum_offset;
        for (int32_t m = 0; m < layer->reduced_outer; ++m) {
          const int8_t *x =
              input + (i * layer->reduced_outer + m) * outer_block + j * inner_block + k;
          for (int32_t n = 0; n < layer->reduced_inner; ++n) {
            sum += *x;
            x += layer->inner;
          }
        }
        *output++ = (int8_t)aot_clamp(aot_scale(sum, layer->multiplier, layer->shift) + layer->zero_point,
                                      INT8_MIN, INT8_MAX);
      }
    }
  }
}

#endif
