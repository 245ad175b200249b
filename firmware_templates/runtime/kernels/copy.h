/* SPDX-License-Identifier: Apache-2.0 */
/* Operators that only move elements: each call copies a block of up to five loops from one tensor to another.
 * The generator merges loops, so that the innermost one is a run of neighbours wherever there is one. */
#ifndef AOT_COPY_H
#define AOT_COPY_H

#include "kernel.h"

struct aot_copy {
  int32_t size[5];       /* of the loops, outermost first */
  int32_t read_step[5];  /* elements of the input from one index of a loop to the next; may be negative */
  int32_t write_step[5]; /* the same of the output */
  int32_t read_start;    /* element of the input that is read first */
  int32_t write_start;
};

AOT_INLINE void aot_copy_run(const struct aot_copy *layer, const int8_t *restrict input,
                             int8_t *restrict output) {
  if (layer->read_step[4] == 1 && layer->write_step[4] == 1) {
    memcpy(output, input, (size_t)layer->size[4]);
    return;
  }
  for (int32_t i = 0; i < layer->size[4]; ++i) {
    output[i * layer->write_step[4]] = input[i * layer->read_step[4]];
  }
}

AOT_INLINE void aot_copy(const struct aot_copy *layer, const int8_t *restrict input,
                         int8_t *restrict output) {
  const int32_t *read = layer->read_step;
  const int32_t *write = layer->write_step;
  input += layer->read_start;
  output += layer->write_start;
  for (int32_t i = 0; i < layer->size[0]; ++i) {
    for (int32_t j = 0; j < layer->size[1]; ++j) {
      for (int32_t k = 0; k < layer->size[2]; ++k) {
        for (int32_t l = 0; l < layer->size[3]; ++l) {
          aot_copy_run(layer, input + (i * read[0] + j * read[1] + k * read[2] + l * read[3]),
                       output + (i * write[0] + j * write[1] + k * write[2] + l * write[3]));
        }
      }
    }
  }
}

#endif
