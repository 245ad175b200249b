/* SPDX-License-Identifier: Apache-2.0 */
/* Weights times widened activations, four output channels at a time: what convolutions and fully connected
 * layers spend their time in. In portable C here; matmul_dsp.h has the same in assembly.
 *
 * All constants of the layer are one stream in the order of their use. For each block of channels a, b, c, d:
 *   4 words               bias a, bias a + 256 * bias b, bias c, bias c + 256 * bias d
 *   depth / 2 * 2 words   two int16 each, for the pair of inputs that a widened word holds:
 *                         weight a + 256 * weight b, then weight c + 256 * weight d
 *   4 * 3 words           multiplier, constant, shift
 * A dual multiply-accumulate with such a word gives sum a + 256 * sum b at once, and with the sign-extended
 * low bytes of its halves sum a alone. The biases make up for the input's zero point.
 *
 * From a sum to int8 there are two ways, both equal to the specification's two roundings:
 *   shifted   the sum is shifted left first, so that all channels of the layer end with the same right shift.
 *             For layers whose least output is the zero point: the second rounding is not that of the
 *             specification for negative sums, which end at the least output all the same.
 *   signed    for all others. */
#ifndef AOT_MATMUL_H
#define AOT_MATMUL_H

#include "dsp.h"

#if AOT_DSP
#include "matmul_dsp.h"
#else
/* The right shift that ends all channels, or 0 for the signed way. */
typedef int32_t aot_finish;
#define AOT_FINISH_PAIR_SHIFTED(shift) (shift)
#define AOT_FINISH_PAIR_SIGNED 0
#define AOT_FINISH_SINGLE_SHIFTED(shift) (shift)
#define AOT_FINISH_SINGLE_SIGNED 0
#endif

/* Channels of a block of the stream. */
#define AOT_MATMUL_BLOCK 4

struct aot_matmul {
  const uint32_t *stream;
  int32_t depth;    /* inputs of one output channel, with padding a multiple of 4 (pairs) or 8 (single) */
  int32_t channels; /* the stream is padded to whole blocks */
  aot_finish finish;
};

/* Words of one block of the stream. */
AOT_INLINE int32_t aot_matmul_block_words(int32_t depth) { return depth + 4 * AOT_MATMUL_BLOCK; }

#if !AOT_DSP
AOT_INLINE int8_t aot_matmul_output(uint32_t sum, const uint32_t *parameters, int32_t end_shift) {
  const int32_t multiplier = (int32_t)parameters[0];
  const int32_t constant = (int32_t)parameters[1];
  const int32_t shift = (int32_t)parameters[2];
  int32_t scaled;
  if (end_shift != 0) {
    scaled = aot_high_mac((int32_t)sum, multiplier, constant) >> end_shift;
  } else {
    const int32_t doubled = (int32_t)sum;
    scaled = (aot_rounded_high_mac(doubled, multiplier, constant) + (doubled >> 31)) >> shift;
  }
  return (int8_t)aot_clamp(scaled, INT8_MIN, INT8_MAX);
}

/* Outputs of channels a and b from sum a and sum a + 256 * sum b. */
AOT_INLINE void aot_matmul_two_outputs(uint32_t low, uint32_t both, const uint32_t *parameters,
                                       int32_t end_shift, int8_t *output) {
  const int32_t high = (int32_t)(both - low);
  const uint32_t a = end_shift != 0 ? low << parameters[2] : low << 1;
  const int32_t b = end_shift != 0 ? high >> parameters[5] : high >> 7;
  output[0] = aot_matmul_output(a, parameters, end_shift);
  output[1] = aot_matmul_output((uint32_t)b, parameters + 3, end_shift);
}

/* `blocks` blocks of channels at `rows` positions (1 or 2), whose widened activations lie word by word side
 * by side. */
AOT_INLINE void aot_matmul_portable(const struct aot_matmul *layer, const uint32_t *stream, int32_t blocks,
                                    const aot_word *wide, int32_t rows, int8_t *const *outputs) {
  for (int32_t block = 0; block < blocks; ++block) {
    const uint32_t *const weights = stream + 4;
    const uint32_t *const parameters = weights + layer->depth;
    for (int32_t row = 0; row < rows; ++row) {
      uint32_t a = stream[0], ab = stream[1], c = stream[2], cd = stream[3];
      for (int32_t i = 0; i < layer->depth; i += 2) {
        const uint32_t x = wide[i / 2 * rows + row];
        ab = aot_dual_mac(weights[i], x, ab);
        cd = aot_dual_mac(weights[i + 1], x, cd);
        a = aot_dual_mac(aot_widen_even(weights[i]), x, a);
        c = aot_dual_mac(aot_widen_even(weights[i + 1]), x, c);
      }
      int8_t *const output = outputs[row] + block * AOT_MATMUL_BLOCK;
      aot_matmul_two_outputs(a, ab, parameters, layer->finish, output);
      aot_matmul_two_outputs(c, cd, parameters + 6, layer->finish, output + 2);
    }
    stream += aot_matmul_block_words(layer->depth);
  }
}

AOT_INLINE void aot_matmul_pair_blocks(const struct aot_matmul *layer, const uint32_t *stream, int32_t blocks,
                                       const aot_word *wide, int8_t *first, int8_t *second) {
  int8_t *const outputs[2] = {first, second};
  aot_matmul_portable(layer, stream, blocks, wide, 2, outputs);
}

AOT_INLINE void aot_matmul_single_blocks(const struct aot_matmul *layer, const uint32_t *stream,
                                         int32_t blocks, const aot_word *wide, int8_t *output) {
  int8_t *const outputs[1] = {output};
  aot_matmul_portable(layer, stream, blocks, wide, 1, outputs);
}
#else
/* Bytes of code from the first step to the end of a chain of `steps` steps that makes `count` steps in all. */
AOT_INLINE uint32_t aot_matmul_entry(uint32_t count, uint32_t steps, uint32_t step_bytes) {
  return ((count - 1u) % steps + 1u) * step_bytes;
}

AOT_INLINE void aot_matmul_pair_blocks(const struct aot_matmul *layer, const uint32_t *stream, int32_t blocks,
                                       const aot_word *wide, int8_t *first, int8_t *second) {
  const struct aot_matmul_job job = {
      stream,
      wide,
      wide + layer->depth,
      layer->finish,
      first,
      second,
      stream + blocks * aot_matmul_block_words(layer->depth),
      aot_matmul_entry((uint32_t)layer->depth / 2u, AOT_PAIR_STEPS, AOT_PAIR_STEP_BYTES),
  };
  aot_matmul_call(aot_matmul_pair_chain, &job);
}

AOT_INLINE void aot_matmul_single_blocks(const struct aot_matmul *layer, const uint32_t *stream,
                                         int32_t blocks, const aot_word *wide, int8_t *output) {
  const struct aot_matmul_job job = {
      stream,
      wide,
      wide + layer->depth / 2,
      layer->finish,
      output,
      output,
      stream + blocks * aot_matmul_block_words(layer->depth),
      aot_matmul_entry((uint32_t)layer->depth / 8u, AOT_SINGLE_STEPS, AOT_SINGLE_STEP_BYTES),
  };
  aot_matmul_call(aot_matmul_single_chain, &job);
}
#endif

/* All channels at two positions; `wide` is what aot_widen_pair() makes of their inputs. */
AOT_INLINE void aot_matmul_pair(const struct aot_matmul *layer, const aot_word *wide, int8_t *first,
                                int8_t *second) {
  const int32_t blocks = layer->channels / AOT_MATMUL_BLOCK;
  const int32_t rest = layer->channels % AOT_MATMUL_BLOCK;
  if (blocks != 0) {
    aot_matmul_pair_blocks(layer, layer->stream, blocks, wide, first, second);
  }
  if (rest != 0) {
    int8_t tail[2][AOT_MATMUL_BLOCK];
    const int32_t done = blocks * AOT_MATMUL_BLOCK;
    aot_matmul_pair_blocks(layer, layer->stream + blocks * aot_matmul_block_words(layer->depth), 1, wide,
                           tail[0], tail[1]);
    for (int32_t i = 0; i < rest; ++i) {
      first[done + i] = tail[0][i];
      second[done + i] = tail[1][i];
    }
  }
}

/* All channels at one position. */
AOT_INLINE void aot_matmul_single(const struct aot_matmul *layer, const aot_word *wide, int8_t *output) {
  const int32_t blocks = layer->channels / AOT_MATMUL_BLOCK;
  const int32_t rest = layer->channels % AOT_MATMUL_BLOCK;
  if (blocks != 0) {
    aot_matmul_single_blocks(layer, layer->stream, blocks, wide, output);
  }
  if (rest != 0) {
    int8_t tail[AOT_MATMUL_BLOCK];
    const int32_t done = blocks * AOT_MATMUL_BLOCK;
    aot_matmul_single_blocks(layer, layer->stream + blocks * aot_matmul_block_words(layer->depth), 1, wide,
                             tail);
    for (int32_t i = 0; i < rest; ++i) {
      output[done + i] = tail[i];
    }
  }
}

#endif
