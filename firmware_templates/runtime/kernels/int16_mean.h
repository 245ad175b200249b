/* SPDX-License-Identifier: Apache-2.0 */
/* MEAN of 16-bit activations, in the five loops of mean.h. */
#ifndef AOT_INT16_MEAN_H
#define AOT_INT16_MEAN_H

#include "int16.h"

struct aot_int16_mean {
  int32_t outer;         /* kept */
  int32_t reduced_outer; /* reduced */
  int32_t middle;        /* kept */
  int32_t reduced_inner; /* reduced */
  int32_t inner;         /* kept */
  int32_t multiplier;    /* holds the division by the number of elements under a mean; 0 .. 2^31 - 1 */
  int32_t shift;         /* -31 .. 30, negative shifts right */
};

AOT_INLINE void aot_int16_mean(const struct aot_int16_mean *layer, const void *restrict input,
                               void *restrict output) {
  const int32_t inner_block = layer->reduced_inner * layer->inner;
  const int32_t outer_block = layer->middle * inner_block;
  aot_int16 *result = (aot_int16 *)output;
  for (int32_t i = 0; i < layer->outer; ++i) {
    for (int32_t j = 0; j < layer->middle; ++j) {
      for (int32_t k = 0; k < layer->inner; ++k) {
        int32_t sum = 0;
        for (int32_t m = 0; m < layer->reduced_outer; ++m) {
          const aot_int16 *x = (const aot_int16 *)input + (i * layer->reduced_outer + m) * outer_block +
                               j * inner_block + k;
          for (int32_t n = 0; n < layer->reduced_inner; ++n) {
            sum += *x;
            x += layer->inner;
          }
        }
        *result++ = (int16_t)aot_clamp(aot_scale(sum, layer->multiplier, layer->shift), INT16_MIN, INT16_MAX);
      }
    }
  }
}

#endif
