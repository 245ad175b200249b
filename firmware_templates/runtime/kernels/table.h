/* SPDX-License-Identifier: Apache-2.0 */
/* A function of one int8 value, from a table that the generator has filled: LOGISTIC and others. */
#ifndef AOT_TABLE_H
#define AOT_TABLE_H

#include "kernel.h"

struct aot_table {
  int32_t elements;
  const int8_t *values; /* 256: the outputs of -128 .. 127 */
};

AOT_INLINE void aot_table(const struct aot_table *layer, const int8_t *restrict input,
                          int8_t *restrict output) {
  const int8_t *const values = layer->values - INT8_MIN;
  AOT_UNROLL(4)
  for (int32_t i = 0; i < layer->elements; ++i) {
    output[i] = values[input[i]];
  }
}

#endif
