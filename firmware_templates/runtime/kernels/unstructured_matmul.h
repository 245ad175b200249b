/* SPDX-License-Identifier: Apache-2.0 */
/* Weights times activations where most weights are zero, wherever they are: only those that are not zero are
 * stored and multiplied. One output channel at a time, at eight positions; in portable C here,
 * unstructured_matmul_dsp.h has the same in assembly.
 *
 * The sums of two positions a and b are one: w a + 2^24 w b takes as many instructions as one product. So that
 * neither reaches into the other, sums keep to 24 bits, which the generator has proven, and a is not negative:
 * the activations of the positions a are 128 more than they are, for which the bias makes up.
 *
 * The constants of the layer are one stream in the order of their use: the head of the first channel, then for
 * each output channel
 *   2 words          bias of a + 2^24 bias of b, lower half first; they make up for the input's zero point too
 *   1 word a pair    weight, step, weight, step: a byte each; a step is 16 times the number of inputs from the
 *                    one that was multiplied last (at first, the first one) to the weight's own
 *   3 words          multiplier, constant, shift, and the next head, as in sparse_matmul.h
 * Weights that are more than 15 inputs apart have zeros between them, and an odd number ends with a zero. */
#ifndef AOT_UNSTRUCTURED_MATMUL_H
#define AOT_UNSTRUCTURED_MATMUL_H

#include "sparse_matmul.h"

/* Positions that are computed at once. */
#define AOT_UNSTRUCTURED_POSITIONS 8

#if AOT_DSP
#include "unstructured_matmul_dsp.h"
#else
/* As in sparse_matmul.h. */
#define AOT_FINISH_UNSTRUCTURED_DIRECT(shift) (shift)
#define AOT_FINISH_UNSTRUCTURED_SIGNED 0
/* Whether the chain of the assembly is repeated does not matter here. */
#define AOT_CHAIN_UNSTRUCTURED_ONCE AOT_UNSTRUCTURED_POSITIONS
#define AOT_CHAIN_UNSTRUCTURED_REPEATED AOT_UNSTRUCTURED_POSITIONS
#endif

struct aot_unstructured_matmul {
  const uint32_t *stream;
  int32_t channels;
  aot_sparse_chain chain;
  aot_sparse_finish finish;
};

/* Prepares `count` bytes (a multiple of 4, not 0) of eight rows: at most 16 bytes of `wide` for each byte of one
 * row. Returns the end of what it wrote. */
AOT_INLINE aot_word *aot_widen_eight(aot_word *wide, const int8_t *const rows[AOT_UNSTRUCTURED_POSITIONS],
                                     int32_t count) {
#if AOT_DSP
  const struct aot_widen_eight_job job = {rows, wide, count};
  aot_call(aot_widen_eight_loop, &job);
  return wide + 4 * count;
#else
  uint8_t *const all = (uint8_t *)wide;
  for (int32_t i = 0; i < AOT_UNSTRUCTURED_POSITIONS; ++i) {
    for (int32_t input = 0; input < count; ++input) {
      all[AOT_UNSTRUCTURED_POSITIONS * input + i] = (uint8_t)(rows[i][input] + 128);
    }
  }
  return wide + 2 * count;
#endif
}

#if AOT_DSP
/* All channels, at eight positions whose outputs lie `channels` bytes apart. */
AOT_INLINE void aot_unstructured_all(const struct aot_unstructured_matmul *layer, const aot_word *wide,
                                     int8_t *output) {
  struct aot_unstructured_job job;
  job.stream = layer->stream;
  job.wide = wide;
  job.output = output;
  job.step = layer->channels;
  job.three_steps = 3 * layer->channels;
  job.finish = layer->finish;
  aot_call(layer->chain, &job);
}
#else
/* Adds the products of one weight with eight activations; a step of the stream is two bytes an activation. */
AOT_INLINE const uint8_t *aot_unstructured_step(uint32_t *sums, const uint8_t *x, uint32_t weight_and_step) {
  const int32_t weight = (int8_t)(uint8_t)weight_and_step;
  x += (weight_and_step >> 8 & 0xffu) / 2;
  for (int32_t i = 0; i < AOT_UNSTRUCTURED_POSITIONS; ++i) {
    sums[i] += (uint32_t)(weight * x[i]);
  }
  return x;
}

/* All channels, at eight positions whose outputs lie `channels` bytes apart; every position is one that the
 * assembly calls a. */
AOT_INLINE void aot_unstructured_all(const struct aot_unstructured_matmul *layer, const aot_word *wide,
                                     int8_t *output) {
  uint32_t head = layer->stream[0];
  const uint32_t *stream = layer->stream + 1;
  for (int32_t channel = 0; channel < layer->channels; ++channel) {
    const uint32_t *const weights = stream + 2;
    const uint32_t *const parameters = weights + aot_sparse_words(head);
    const uint8_t *x = (const uint8_t *)wide;
    uint32_t sums[AOT_UNSTRUCTURED_POSITIONS];
    for (int32_t i = 0; i < AOT_UNSTRUCTURED_POSITIONS; ++i) {
      sums[i] = stream[0];
    }
    for (const uint32_t *pair = weights; pair != parameters; ++pair) {
      x = aot_unstructured_step(sums, x, *pair);
      x = aot_unstructured_step(sums, x, *pair >> 16);
    }
    for (int32_t i = 0; i < AOT_UNSTRUCTURED_POSITIONS; ++i) {
      const uint32_t sum = (uint32_t)((int32_t)(sums[i] << 8) >> 8);
      output[i * layer->channels + channel] = aot_sparse_output(sum, parameters, layer->finish);
    }
    head = parameters[2];
    stream = parameters + 3;
  }
}
#endif

#endif
