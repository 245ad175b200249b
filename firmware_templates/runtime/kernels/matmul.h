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

/* Stands for a number of positions: one, whose activations are int8 and not widened. */
#define AOT_DIRECT 0

struct aot_matmul {
  const uint32_t *stream;
  int32_t depth;    /* inputs of one output channel, with padding a multiple of 4 (pairs) or 8 (single) */
  int32_t channels; /* the stream is padded to whole blocks */
  aot_finish finish;
};

/* Words of one block of the stream. */
AOT_INLINE int32_t aot_matmul_block_words(int32_t depth) { return depth + 4 * AOT_MATMUL_BLOCK; }

/* A layer whose activations lie at one place, ready to be run. */
struct aot_matmul_run {
  const struct aot_matmul *layer;
  const aot_word *wide;
  const uint32_t *whole_end; /* of the stream's blocks with 4 channels */
  int32_t whole;             /* channels in them */
  int32_t rest;              /* channels in one more block, 0 if there is none */
#if AOT_DSP
  struct aot_matmul_job job;
#endif
};

AOT_INLINE struct aot_matmul_run aot_matmul_begin(const struct aot_matmul *layer, const aot_word *wide) {
  struct aot_matmul_run run;
  run.layer = layer;
  run.wide = wide;
  run.rest = layer->channels % AOT_MATMUL_BLOCK;
  run.whole = layer->channels - run.rest;
  run.whole_end = layer->stream + run.whole / AOT_MATMUL_BLOCK * aot_matmul_block_words(layer->depth);
  return run;
}

#if AOT_DSP
AOT_INLINE struct aot_matmul_run aot_matmul_prepare(const struct aot_matmul *layer, const aot_word *wide,
                                                    int32_t rows) {
  struct aot_matmul_run run = aot_matmul_begin(layer, wide);
  run.job.wide = wide;
  run.job.wide_end = wide + (rows == AOT_DIRECT ? layer->depth / 4 : layer->depth / 2 * rows);
  run.job.finish = layer->finish;
  if (rows == 2) {
    aot_matmul_enter(&run.job, (uint32_t)layer->depth / 2u, AOT_PAIR_STEPS, AOT_PAIR_STEP_BYTES);
  } else if (rows == AOT_DIRECT) {
    aot_matmul_enter(&run.job, (uint32_t)layer->depth / 8u, AOT_SINGLE_STEPS, AOT_DIRECT_STEP_BYTES);
  } else {
    aot_matmul_enter(&run.job, (uint32_t)layer->depth / 8u, AOT_SINGLE_STEPS, AOT_SINGLE_STEP_BYTES);
  }
  return run;
}

/* Lets a layer go on with the activations between `wide` and `end`. */
AOT_INLINE void aot_matmul_move(struct aot_matmul_run *run, const aot_word *wide, const aot_word *end) {
  run->job.wide = wide;
  run->job.wide_end = end;
}

/* The blocks whose constants lie between `stream` and `end`. */
AOT_INLINE void aot_matmul_blocks(struct aot_matmul_run *run, const uint32_t *stream, const uint32_t *end,
                                  int32_t rows, int8_t *first, int8_t *second) {
  run->job.stream = stream;
  run->job.stream_end = end;
  run->job.first = first;
  run->job.second = second;
  aot_call(rows == 2            ? aot_matmul_pair_chain
           : rows == AOT_DIRECT ? aot_matmul_direct_chain
                                : aot_matmul_single_chain,
           &run->job);
}
#else
AOT_INLINE struct aot_matmul_run aot_matmul_prepare(const struct aot_matmul *layer, const aot_word *wide,
                                                    int32_t rows) {
  (void)rows;
  return aot_matmul_begin(layer, wide);
}

AOT_INLINE void aot_matmul_move(struct aot_matmul_run *run, const aot_word *wide, const aot_word *end) {
  (void)end;
  run->wide = wide;
}

AOT_INLINE int8_t aot_matmul_output(uint32_t sum, const uint32_t *parameters, int32_t end_shift) {
  const int32_t x = (int32_t)sum;
  const int32_t multiplier = (int32_t)parameters[0];
  const int32_t constant = (int32_t)parameters[1];
  const int32_t scaled =
      end_shift != 0 ? aot_high_mac(x, multiplier, constant) >> end_shift
                     : (aot_rounded_high_mac(x, multiplier, constant) + (x >> 31)) >> parameters[2];
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

/* Two inputs of one of `rows` positions, whose widened activations lie word by word side by side. */
AOT_INLINE uint32_t aot_matmul_inputs(const aot_word *wide, int32_t rows, int32_t i) {
  if (rows == AOT_DIRECT) {
    const uint32_t four = wide[i / 4];
    return i % 4 == 0 ? aot_widen_even(four) : aot_widen_odd(four);
  }
  return wide[i / 2 * rows];
}

/* One block at one of `rows` positions. */
AOT_INLINE void aot_matmul_block(const struct aot_matmul *layer, const uint32_t *stream, const aot_word *wide,
                                 int32_t rows, int8_t *output) {
  const int32_t depth = layer->depth;
  const uint32_t *const weights = stream + 4;
  const uint32_t *const parameters = weights + depth;
  uint32_t a = stream[0], ab = stream[1], c = stream[2], cd = stream[3];
#pragma GCC unroll 2
  for (int32_t i = 0; i < depth; i += 2) {
    const uint32_t x = aot_matmul_inputs(wide, rows, i);
    const int32_t x0 = aot_low(x), x1 = aot_high(x);
    const uint32_t w = weights[i], v = weights[i + 1];
    ab += (uint32_t)(aot_low(w) * x0) + (uint32_t)(aot_high(w) * x1);
    cd += (uint32_t)(aot_low(v) * x0) + (uint32_t)(aot_high(v) * x1);
    a += (uint32_t)((int8_t)(uint8_t)w * x0) + (uint32_t)((int8_t)(uint8_t)(w >> 16) * x1);
    c += (uint32_t)((int8_t)(uint8_t)v * x0) + (uint32_t)((int8_t)(uint8_t)(v >> 16) * x1);
  }
  aot_matmul_two_outputs(a, ab, parameters, layer->finish, output);
  aot_matmul_two_outputs(c, cd, parameters + 6, layer->finish, output + 2);
}

/* The blocks whose constants lie between `stream` and `end`. */
AOT_INLINE void aot_matmul_blocks(struct aot_matmul_run *run, const uint32_t *stream, const uint32_t *end,
                                  int32_t rows, int8_t *first, int8_t *second) {
  for (; stream != end; stream += aot_matmul_block_words(run->layer->depth)) {
    aot_matmul_block(run->layer, stream, run->wide, rows, first);
    first += AOT_MATMUL_BLOCK;
    if (rows == 2) {
      aot_matmul_block(run->layer, stream, run->wide + 1, rows, second);
      second += AOT_MATMUL_BLOCK;
    }
  }
}
#endif

/* All channels at `rows` positions: 1, whose widened activations follow each other, or 2, whose activations
 * lie side by side as aot_widen_pair() leaves them, or AOT_DIRECT. */
AOT_INLINE void aot_matmul_all(struct aot_matmul_run *run, int32_t rows, int8_t *first, int8_t *second) {
  if (run->whole != 0) {
    aot_matmul_blocks(run, run->layer->stream, run->whole_end, rows, first, second);
  }
  if (run->rest != 0) {
    int8_t tail[2][AOT_MATMUL_BLOCK];
    const uint32_t *const end = run->whole_end + aot_matmul_block_words(run->layer->depth);
    aot_matmul_blocks(run, run->whole_end, end, rows, tail[0], tail[1]);
    for (int32_t i = 0; i < run->rest; ++i) {
      first[run->whole + i] = tail[0][i];
      if (rows == 2) {
        second[run->whole + i] = tail[1][i];
      }
    }
  }
}

#endif
