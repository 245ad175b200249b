/* SPDX-License-Identifier: Apache-2.0 */
/* UNIDIRECTIONAL_SEQUENCE_LSTM of int8 activations and weights over one sequence, from a state of zero.
 *
 * The output of a step is the hidden state of the next. The cell state is int16; what the gates add up is in
 * Q3.12, their values are in Q0.15. Inputs and hidden state are widened to int16 without their zero points once
 * per step, so that no bias has to make up for these. */
#ifndef AOT_LSTM_H
#define AOT_LSTM_H

#include <stddef.h>

#include "int16_curves.h"
#include "int16_matmul.h"

#define AOT_LSTM_GATES 4
enum { AOT_INPUT_GATE, AOT_FORGET_GATE, AOT_CELL_GATE, AOT_OUTPUT_GATE };

/* From sums to Q3.12, by gate: one product that keeps its upper half and one shift, equal to the specification's
 * two roundings. */
struct aot_lstm_rescale {
  int32_t left[AOT_LSTM_GATES]; /* before the product */
  int32_t multiplier[AOT_LSTM_GATES];
  int32_t constant[AOT_LSTM_GATES]; /* halves of both roundings */
  int32_t tie[AOT_LSTM_GATES];      /* what negative sums add, so that ties are away from zero; 0 or less */
  int32_t right[AOT_LSTM_GATES];
};

struct aot_lstm {
  int32_t steps;
  int32_t inputs; /* of a step */
  int32_t cells;
  int32_t input_offset; /* minus the input's zero point */
  /* For each block of AOT_BLOCK cells a, b, c, d and each gate: weights of the inputs, then of the hidden state.
   * All three are padded to multiples of 4. Paired, for each two inputs: a word of two int16, weight a + 256 *
   * weight b, and one for c and d. Else words as in int16_matmul.h. */
  const uint32_t *weights;
  int32_t paired; /* 1 or 0; the sums of b and d have 24 bits then */
  const int32_t *bias; /* [block][gate][AOT_BLOCK] */
  struct aot_lstm_rescale from_input;
  struct aot_lstm_rescale from_hidden;
  int32_t cell_bits; /* a cell state of 1 is 2^cell_bits; -2 .. 29 */
  int32_t cell_min;
  int32_t cell_max;
  int32_t multiplier; /* from the output gate's value times tanh of the cell state to the output */
  int32_t right;      /* the shift after it; 1 .. 30 */
  int32_t zero_point; /* of the output */
};

AOT_INLINE int32_t aot_lstm_padded(int32_t count) { return (count + 3) / 4 * 4; }

AOT_INLINE void aot_lstm_widen(aot_int16 *wide, const int8_t *values, int32_t count, int32_t offset) {
  for (int32_t i = 0; i < count; ++i) {
    wide[i] = (int16_t)(values[i] + offset);
  }
}

AOT_INLINE int32_t aot_to_int16(int32_t x) {
#if AOT_DSP
  int32_t result;
  __asm__("ssat %0, #16, %1" : "=r"(result) : "r"(x));
  return result;
#else
  return aot_clamp(x, INT16_MIN, INT16_MAX);
#endif
}

AOT_INLINE int32_t aot_lstm_rescale(const struct aot_lstm_rescale *rescale, int32_t gate, uint32_t sum) {
  const int32_t x = (int32_t)(sum << rescale->left[gate]);
  const int32_t scaled = aot_high_mac(x, rescale->multiplier[gate], rescale->constant[gate]);
  return aot_to_int16((scaled + ((x >> 31) & rescale->tie[gate])) >> rescale->right[gate]);
}

#if AOT_DSP
/* Two inputs, in a word, of four cells. */
#define AOT_LSTM_TWO_INPUTS(inputs)           \
  "ldrd r4, r5, [%[weights]], #8\n\t"         \
  "smlad %[ab], r4, " inputs ", %[ab]\n\t"    \
  "smlad %[cd], r5, " inputs ", %[cd]\n\t"    \
  "sxtb16 r4, r4\n\t"                         \
  "sxtb16 r5, r5\n\t"                         \
  "smlad %[a], r4, " inputs ", %[a]\n\t"      \
  "smlad %[c], r5, " inputs ", %[c]\n\t"
#endif

/* Products of paired weights with `count` factors, both at word addresses; count is a multiple of 4. */
AOT_INLINE void aot_lstm_paired_dot(uint32_t *sums, const uint32_t *weights, const aot_int16 *factors,
                                    int32_t count) {
  uint32_t a = 0, ab = 0, c = 0, cd = 0;
  const aot_int16 *const end = factors + count;
#if AOT_DSP
  __asm__ volatile(
      "1: ldrd r6, r8, [%[factors]], #8\n\t" AOT_LSTM_TWO_INPUTS("r6") AOT_LSTM_TWO_INPUTS("r8")
      "cmp %[factors], %[end]\n\t"
      "bne 1b"
      : [a] "+r"(a), [ab] "+r"(ab), [c] "+r"(c), [cd] "+r"(cd), [weights] "+r"(weights), [factors] "+r"(factors)
      : [end] "r"(end)
      : "r4", "r5", "r6", "r8", "cc", "memory");
#else
  for (; factors != end; factors += 2, weights += 2) {
    const uint32_t inputs = aot_load_pair(factors);
    ab = aot_dual_mac(weights[0], inputs, ab);
    cd = aot_dual_mac(weights[1], inputs, cd);
    a = aot_dual_mac(aot_widen_even(weights[0]), inputs, a);
    c = aot_dual_mac(aot_widen_even(weights[1]), inputs, c);
  }
#endif
  sums[0] = a;
  sums[1] = (uint32_t)((int32_t)(ab - a) >> 8);
  sums[2] = c;
  sums[3] = (uint32_t)((int32_t)(cd - c) >> 8);
}

/* What one product of a gate comes to in Q3.12 for a block of cells, with `bias` or, if that is NULL, without. */
AOT_INLINE void aot_lstm_product(const struct aot_lstm *layer, const struct aot_lstm_rescale *rescale,
                                 int32_t gate, const int32_t *bias, const uint32_t *weights,
                                 const aot_int16 *factors, int32_t count, int32_t *products) {
  uint32_t sums[AOT_BLOCK] = {0};
  if (layer->paired) {
    aot_lstm_paired_dot(sums, weights, factors, count);
  } else {
    aot_int16_dot(sums, weights, factors, count);
  }
  AOT_UNROLL(4)
  for (int32_t k = 0; k < AOT_BLOCK; ++k) {
    products[k] = aot_lstm_rescale(rescale, gate, bias == NULL ? sums[k] : sums[k] + (uint32_t)bias[k]);
  }
}

/* Values of one gate for a block of cells. Returns the end of the weights. */
AOT_INLINE const uint32_t *aot_lstm_gate(const struct aot_lstm *layer, int32_t gate, const uint32_t *weights,
                                         const int32_t *bias, const aot_int16 *input,
                                         const aot_int16 *hidden, int32_t *values) {
  const int32_t inputs = aot_lstm_padded(layer->inputs), cells = aot_lstm_padded(layer->cells);
  int32_t recurrent[AOT_BLOCK];
  aot_lstm_product(layer, &layer->from_input, gate, bias, weights, input, inputs, values);
  aot_lstm_product(layer, &layer->from_hidden, gate, NULL, weights + inputs, hidden, cells, recurrent);
  if (gate == AOT_CELL_GATE) {
    for (int32_t k = 0; k < AOT_BLOCK; ++k) {
      values[k] = aot_int16_tanh(aot_to_int16(values[k] + recurrent[k]) * (AOT_CURVE_SCALE >> 12));
    }
  } else {
    AOT_UNROLL(4)
    for (int32_t k = 0; k < AOT_BLOCK; ++k) {
      values[k] = aot_int16_logistic(aot_to_int16(values[k] + recurrent[k]) * (AOT_CURVE_SCALE >> 12));
    }
  }
  return weights + inputs + cells;
}

/* tanh of a cell state. */
AOT_INLINE int32_t aot_lstm_tanh(int32_t cell, int32_t cell_bits) {
  const int32_t left = 12 - cell_bits, scaled = cell * (AOT_CURVE_SCALE >> 12);
  return aot_int16_tanh(left >= 0 ? scaled * (1 << left) : (scaled + (1 << (-left - 1))) >> -left);
}

/* x / 2^exponent, rounded twice as by a multiplier of that size; |x| <= 2^30, 1 <= exponent <= 32. */
AOT_INLINE int32_t aot_lstm_shift_right(int32_t x, int32_t exponent) {
  const int32_t half = (x + 1) >> 1;
  return exponent == 1 ? half : (half + (half >> 31) + (1 << (exponent - 2))) >> (exponent - 1);
}

/* A cell state within its limits. */
AOT_INLINE int32_t aot_lstm_limited(const struct aot_lstm *layer, int32_t state) {
  const int32_t saturated = aot_to_int16(state);
  const int32_t limited = layer->cell_max < INT16_MAX ? aot_min(saturated, layer->cell_max) : saturated;
  return layer->cell_min > INT16_MIN ? aot_max(limited, layer->cell_min) : limited;
}

/* The output of one cell, whose state is updated; `values` of its gates are AOT_BLOCK apart. */
AOT_INLINE int8_t aot_lstm_output(const struct aot_lstm *layer, const int32_t *values, aot_int16 *cell) {
  const int32_t kept = aot_lstm_shift_right(values[AOT_FORGET_GATE * AOT_BLOCK] * *cell, 15);
  const int32_t added = aot_lstm_shift_right(values[AOT_INPUT_GATE * AOT_BLOCK] * values[AOT_CELL_GATE * AOT_BLOCK],
                                             30 - layer->cell_bits);
  const int32_t state = aot_lstm_limited(layer, kept + aot_to_int16(added));
  *cell = (int16_t)state;
  /* Below 2^30: tanh and the logistic function stay below 1. */
  const int32_t product = aot_lstm_tanh(state, layer->cell_bits) * values[AOT_OUTPUT_GATE * AOT_BLOCK];
  const int32_t half = 1 << (layer->right - 1);
  const int32_t scaled = aot_rounded_high_mac(2 * product, layer->multiplier, half) + (product >> 31);
  return (int8_t)aot_clamp((scaled >> layer->right) + layer->zero_point, INT8_MIN, INT8_MAX);
}

/* One step; `output` may not be what `hidden` was widened from. */
AOT_INLINE void aot_lstm_step(const struct aot_lstm *layer, const aot_int16 *input, const aot_int16 *hidden,
                              aot_int16 *cells, int8_t *output) {
  const uint32_t *weights = layer->weights;
  const int32_t *bias = layer->bias;
  for (int32_t block = 0; block < layer->cells; block += AOT_BLOCK) {
    int32_t values[AOT_LSTM_GATES * AOT_BLOCK];
    for (int32_t gate = 0; gate < AOT_LSTM_GATES; ++gate) {
      weights = aot_lstm_gate(layer, gate, weights, bias, input, hidden, values + gate * AOT_BLOCK);
      bias += AOT_BLOCK;
    }
    const int32_t count = aot_min(AOT_BLOCK, layer->cells - block);
    for (int32_t k = 0; k < count; ++k) {
      output[block + k] = aot_lstm_output(layer, values + k, cells + block + k);
    }
  }
}

/* `scratch`: the widened inputs and hidden state and the cell states, 2 bytes each, padded to multiples of 4. */
AOT_INLINE void aot_lstm(const struct aot_lstm *layer, const int8_t *restrict input, int8_t *restrict output,
                         int8_t *restrict scratch) {
  const int32_t inputs = aot_lstm_padded(layer->inputs), padded = aot_lstm_padded(layer->cells);
  aot_int16 *const wide = (aot_int16 *)(void *)scratch;
  aot_int16 *const hidden = wide + inputs;
  aot_int16 *const cells = hidden + padded;
  memset(scratch, 0, (size_t)(2 * (inputs + 2 * padded)));
  for (int32_t step = 0; step < layer->steps; ++step) {
    aot_lstm_widen(wide, input, layer->inputs, layer->input_offset);
    aot_lstm_step(layer, wide, hidden, cells, output);
    aot_lstm_widen(hidden, output, layer->cells, -layer->zero_point);
    input += layer->inputs;
    output += layer->cells;
  }
}

#endif
