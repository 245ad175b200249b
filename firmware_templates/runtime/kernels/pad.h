/* SPDX-License-Identifier: Apache-2.0 */
/* PAD and PADV2: a tensor with a border of one value, its dimensions merged by the generator into four. */
#ifndef AOT_PAD_H
#define AOT_PAD_H

#include "kernel.h"

struct aot_pad {
  int32_t size[4];   /* of the input, outermost first */
  int32_t before[4]; /* border before and after each dimension, in elements of that dimension */
  int32_t after[4];
  int32_t value;
};

AOT_INLINE int8_t *aot_pad_border(const struct aot_pad *layer, int8_t *output, int32_t count) {
  memset(output, layer->value, (size_t)count);
  return output + count;
}

AOT_INLINE void aot_pad(const struct aot_pad *layer, const int8_t *restrict input, int8_t *restrict output) {
  const int32_t row = layer->before[3] + layer->size[3] + layer->after[3];
  const int32_t plane = row * (layer->before[2] + layer->size[2] + layer->after[2]);
  const int32_t volume = plane * (layer->before[1] + layer->size[1] + layer->after[1]);

  output = aot_pad_border(layer, output, layer->before[0] * volume);
  for (int32_t i = 0; i < layer->size[0]; ++i) {
    output = aot_pad_border(layer, output, layer->before[1] * plane);
    for (int32_t j = 0; j < layer->size[1]; ++j) {
      output = aot_pad_border(layer, output, layer->before[2] * row);
      for (int32_t k = 0; k < layer->size[2]; ++k) {
        output = aot_pad_border(layer, output, layer->before[3]);
        memcpy(output, input, (size_t)layer->size[3]);
        input += layer->size[3];
        output = aot_pad_border(layer, output + layer->size[3], layer->after[3]);
      }
      output = aot_pad_border(layer, output, layer->after[2] * row);
    }
    output = aot_pad_border(layer, output, layer->after[1] * plane);
  }
  (void)aot_pad_border(layer, output, layer->after[0] * volume);
}

#endif
