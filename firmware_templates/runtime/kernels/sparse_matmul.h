/* SPDX-License-Identifier: Apache-2.0 */
/* Weights times widened activations where most weights are zero: only blocks of four weights, of four
 * neighbouring inputs, that are not all zero are stored and multiplied. One output channel at a time, at one
 * position or four; in portable C here, sparse_matmul_dsp.h has the same in assembly.
 *
 * The constants of the layer are two streams in the order of their use: the head of the first channel, then
 * for each output channel
 *   stream  1 word           bias, which makes up for the input's zero point
 *           1 word a block   its four int8 weights
 *           3 words          multiplier, constant, and the shift of the signed way, as in matmul.h; that is
 *                            the lowest byte of a word that has the head of the next channel above it
 *   places  1 byte a block   which four inputs it multiplies
 * A head has the number of words of weights in bits 8 to 20, and above that how far the assembly's chain is
 * entered; after the last channel it is 0.
 *
 * Where its constants allow it, a layer has the direct way instead: it does not shift the sum first. */
#ifndef AOT_SPARSE_MATMUL_H
#define AOT_SPARSE_MATMUL_H

#include "dsp.h"

/* Positions that are computed at once, or one. Of four inputs, elements 0 and 2 of each position are widened
 * side by side, then elements 1 and 3 of each: two words for each position. */
#define AOT_SPARSE_POSITIONS 4

#if AOT_DSP
#include "sparse_matmul_dsp.h"
#else
/* The right shift that ends all channels in the direct way, or 0 for the signed way. */
typedef int32_t aot_sparse_finish;
#define AOT_FINISH_SPARSE_QUAD_DIRECT(shift) (shift)
#define AOT_FINISH_SPARSE_QUAD_SIGNED 0
#define AOT_FINISH_SPARSE_SINGLE_DIRECT(shift) (shift)
#define AOT_FINISH_SPARSE_SINGLE_SIGNED 0
/* Positions at once; whether the chain of the assembly is repeated does not matter here. */
typedef int32_t aot_sparse_chain;
#define AOT_CHAIN_SPARSE_QUAD_ONCE AOT_SPARSE_POSITIONS
#define AOT_CHAIN_SPARSE_QUAD_REPEATED AOT_SPARSE_POSITIONS
#define AOT_CHAIN_SPARSE_SINGLE_ONCE 1
#define AOT_CHAIN_SPARSE_SINGLE_REPEATED 1
#endif

struct aot_sparse_matmul {
  const uint32_t *stream;
  const uint8_t *places;
  int32_t channels;
  aot_sparse_chain chain;
  aot_sparse_finish finish;
};

/* Widens `count` bytes (a multiple of 4, not 0) of four rows. Returns the end of what it wrote. */
AOT_INLINE aot_word *aot_widen_quad(aot_word *wide, const int8_t *const rows[AOT_SPARSE_POSITIONS],
                                    int32_t count) {
  const int8_t *a = rows[0], *b = rows[1], *c = rows[2], *d = rows[3];
#if AOT_DSP
  const struct aot_widen_quad_job job = {a, b, c, d, wide, count};
  aot_call(aot_widen_quad_loop, &job);
  wide += 2 * count;
#else
  for (; count > 0; count -= 4) {
    const uint32_t word_a = aot_load4(a), word_b = aot_load4(b), word_c = aot_load4(c), word_d = aot_load4(d);
    a += 4;
    b += 4;
    c += 4;
    d += 4;
    wide[0] = aot_widen_even(word_a);
    wide[1] = aot_widen_even(word_b);
    wide[2] = aot_widen_even(word_c);
    wide[3] = aot_widen_even(word_d);
    wide[4] = aot_widen_odd(word_a);
    wide[5] = aot_widen_odd(word_b);
    wide[6] = aot_widen_odd(word_c);
    wide[7] = aot_widen_odd(word_d);
    wide += 2 * AOT_SPARSE_POSITIONS;
  }
#endif
  return wide;
}

#if AOT_DSP
/* All channels, at four positions whose outputs lie `channels` bytes apart or at one. */
AOT_INLINE void aot_sparse_all(const struct aot_sparse_matmul *layer, const aot_word *wide, int8_t *output) {
  struct aot_sparse_job job;
  job.stream = layer->stream;
  job.places = layer->places;
  job.wide = wide;
  job.output = output;
  job.step = layer->channels;
  job.three_steps = 3 * layer->channels;
  job.finish = layer->finish;
  aot_call(layer->chain, &job);
}
#else
/* Words of weights of a channel. */
AOT_INLINE uint32_t aot_sparse_words(uint32_t head) { return head >> 8 & 0x1fffu; }

AOT_INLINE int8_t aot_sparse_output(uint32_t sum, const uint32_t *parameters, int32_t end_shift) {
  const int32_t multiplier = (int32_t)parameters[0];
  const int32_t constant = (int32_t)parameters[1];
  /* As in assembly, the lowest byte of a word. */
  const uint32_t shift = parameters[2] & 0xffu;
  const int32_t x = (int32_t)(end_shift != 0 ? sum : sum << 1);
  const int32_t scaled =
      end_shift != 0 ? aot_high_mac(x, multiplier, constant) >> end_shift
                     : (aot_rounded_high_mac(x, multiplier, constant) + (x >> 31)) >> shift;
  return (int8_t)aot_clamp(scaled, INT8_MIN, INT8_MAX);
}

/* All channels, at four positions whose outputs lie `channels` bytes apart or at one. */
AOT_INLINE void aot_sparse_all(const struct aot_sparse_matmul *layer, const aot_word *wide, int8_t *output) {
  const int32_t positions = layer->chain;
  uint32_t head = layer->stream[0];
  const uint32_t *stream = layer->stream + 1;
  const uint8_t *place = layer->places;
  for (int32_t channel = 0; channel < layer->channels; ++channel) {
    const uint32_t *const weights = stream + 1;
    const uint32_t *const parameters = weights + aot_sparse_words(head);
    uint32_t sums[AOT_SPARSE_POSITIONS] = {stream[0], stream[0], stream[0], stream[0]};
    for (const uint32_t *block = weights; block != parameters; ++block) {
      const aot_word *const x = wide + *place++ * 2 * positions;
      const uint32_t even = aot_widen_even(*block), odd = aot_widen_odd(*block);
      for (int32_t i = 0; i < positions; ++i) {
        sums[i] = aot_dual_mac(odd, x[positions + i], aot_dual_mac(even, x[i], sums[i]));
      }
    }
    for (int32_t i = 0; i < positions; ++i) {
      output[i * layer->channels + channel] = aot_sparse_output(sums[i], parameters, layer->finish);
    }
    head = parameters[2];
    stream = parameters + 3;
  }
}
#endif

#endif
