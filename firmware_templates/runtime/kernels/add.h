/* SPDX-License-Identifier: Apache-2.0 */
/* ADD and SUB of two tensors, with broadcasting.
 * Both inputs are brought to twice the larger input scale with 20 bits after the binary point, added or
 * subtracted, and rescaled to the output. */
#ifndef AOT_ADD_H
#define AOT_ADD_H

#include "kernel.h"

#define AOT_ADD_FRACTION_BITS 20

struct aot_add_input {
  int32_t step[4]; /* elements from one index to the next of each loop; 0 where the input is broadcast */
  int32_t offset;  /* minus the zero point */
  int32_t multiplier;
  int32_t shift; /* <= 0 */
};

struct aot_add {
  int32_t size[4]; /* the output's dimensions, merged into four loops, outermost first */
  struct aot_add_input first;
  struct aot_add_input second;
  int32_t second_sign; /* 1 to add the second input, -1 to subtract it */
  int32_t multiplier;
  int32_t shift; /* <= 0 */
  int32_t zero_point;
  int32_t min;
  int32_t max;
};

AOT_INLINE int32_t aot_add_scaled(const struct aot_add_input *input, int8_t value) {
  const int32_t shifted = (value + input->offset) * (INT32_C(1) << AOT_ADD_FRACTION_BITS);
  return aot_scale(shifted, input->multiplier, input->shift);
}

AOT_INLINE void aot_add(const struct aot_add *layer, const int8_t *first, const int8_t *second,
                        int8_t *restrict output) {
  const struct aot_add_input *a = &layer->first;
  const struct aot_add_input *b = &layer->second;
  for (int32_t i = 0; i < layer->size[0]; ++i) {
    for (int32_t j = 0; j < layer->size[1]; ++j) {
      for (int32_t k = 0; k < layer->size[2]; ++k) {
        const int8_t *x = first + i * a->step[0] + j * a->step[1] + k * a->step[2];
        const int8_t *y = second + i * b->step[0] + j * b->step[1] + k * b->step[2];
        for (int32_t l = 0; l < layer->size[3]; ++l) {
          const int32_t sum = aot_add_scaled(a, *x) + layer->second_sign * aot_add_scaled(b, *y);
          const int32_t scaled = aot_scale(sum, layer->multiplier, layer->shift);
          *output++ = (int8_t)aot_clamp(scaled + layer->zero_point, layer->min, layer->max);
          x += a->step[3];
          y += b->step[3];
        }
      }
    }
  }
}

#endif
