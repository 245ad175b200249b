/* SPDX-License-Identifier: Apache-2.0 */
/* ARG_MAX along one dimension: where the largest value is, the first of several. */
#ifndef AOT_ARG_MAX_H
#define AOT_ARG_MAX_H

#include "kernel.h"

struct aot_arg_max {
  int32_t outer; /* product of the dimensions before */
  int32_t depth; /* of the dimension */
  int32_t inner; /* product of the dimensions behind */
};

AOT_INLINE void aot_arg_max(const struct aot_arg_max *layer, const int8_t *restrict input,
                            int8_t *restrict output) {
  for (int32_t i = 0; i < layer->outer; ++i) {
    for (int32_t j = 0; j < layer->inner; ++j) {
      const int8_t *x = input + i * layer->depth * layer->inner + j;
      int32_t largest = 0;
      for (int32_t k = 1; k < layer->depth; ++k) {
        if (x[k * layer->inner] > x[largest * layer->inner]) {
          largest = k;
        }
      }
      /* The output lies in an array of int8_t. */
      memcpy(output, &largest, sizeof largest);
      output += sizeof largest;
    }
  }
}

#endif
