/* SPDX-License-Identifier: Apache-2.0 */
/* ADD and SUB of two tensors of one shape as one affine function of both inputs. The specification rounds at
 * three places; the generator has held this function, which rounds once, against it for all 65536 pairs of
 * inputs. */
#ifndef AOT_ADD_AFFINE_H
#define AOT_ADD_AFFINE_H

#include "dsp.h"

struct aot_add_affine {
  int32_t elements;
  int32_t first_factor;
  int32_t second_factor;
  int32_t constant; /* no sum of both products and this leaves int32_t, though one on the way may */
  int32_t shift;    /* to the right */
  int32_t min;
  int32_t max;
};

AOT_INLINE int8_t aot_add_affine_element(const struct aot_add_affine *layer, const uint32_t *constants,
                                         int32_t first, int32_t second) {
  const uint32_t sum = (uint32_t)first * constants[0] + ((uint32_t)second * constants[1] + constants[2]);
  const int32_t value = aot_saturate_shifted((int32_t)sum, layer->shift);
  return (int8_t)(layer->min > INT8_MIN || layer->max < INT8_MAX ? aot_clamp(value, layer->min, layer->max)
                                                                 : value);
}

/* The output may be one of the inputs. */
AOT_INLINE void aot_add_affine(const struct aot_add_affine *layer, const int8_t *first, const int8_t *second,
                               int8_t *output) {
  uint32_t constants[3] = {(uint32_t)layer->first_factor, (uint32_t)layer->second_factor,
                           (uint32_t)layer->constant};
  /* Constants that the compiler cannot see stay in their registers. */
  __asm__("" : "+r"(constants[0]), "+r"(constants[1]), "+r"(constants[2]));
  AOT_UNROLL(8)
  for (int32_t i = 0; i < layer->elements; ++i) {
    output[i] = aot_add_affine_element(layer, constants, first[i], second[i]);
  }
}

#endif
