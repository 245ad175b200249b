/* SPDX-License-Identifier: Apache-2.0 */
#include "front_end.h"

#include "front_end_tables.h"
#include "log_mel.h"

enum { GAIN_BITS = 24, INT8_LOWEST = -128, INT8_HIGHEST = 127 };

/* A stream has none. */
#define NO_END UINT32_MAX

static struct {
  int16_t history[FRONT_END_FFT]; /* the samples of the next frame; zeros beyond the window */
  uint32_t filled;                /* samples in the history */
  uint32_t to_skip;               /* samples before the first row that is wanted */
  uint32_t samples_left;          /* of the clip, or NO_END */
  uint32_t rows_left;             /* rows still wanted, or NO_END */
  uint32_t newest;                /* index of the newest row, if there is one */
  uint32_t held;                  /* rows in the ring */
} state;

static uint16_t ring[FRONT_END_FRAMES][FRONT_END_MELS];

static void start(uint32_t to_skip, uint32_t samples_left, uint32_t rows_left) {
  for (uint32_t i = 0; i < FRONT_END_FFT; i++) {
    state.history[i] = 0;
  }
  state.filled = 0;
  state.to_skip = to_skip;
  state.samples_left = samples_left;
  state.rows_left = rows_left;
  state.newest = FRONT_END_FRAMES - 1u;
  state.held = 0;
}

void front_end_start_stream(void) { start(0, NO_END, NO_END); }

void front_end_start_clip(uint32_t samples) {
  const uint32_t rows =
      samples < FRONT_END_WINDOW ? 1u : 1u + (samples - FRONT_END_WINDOW) / FRONT_END_HOP;
  if (rows > FRONT_END_FRAMES) {
    start((rows - FRONT_END_FRAMES) / 2u * FRONT_END_HOP, samples, FRONT_END_FRAMES);
  } else {
    start(0, samples, rows);
  }
}

static void add_row(void) {
  state.newest = state.newest + 1u < FRONT_END_FRAMES ? state.newest + 1u : 0u;
  log_mel_row(state.history, ring[state.newest]);
  state.held += state.held < FRONT_END_FRAMES ? 1u : 0u;
  state.rows_left -= state.rows_left != NO_END ? 1u : 0u;
}

/* Makes room for the samples of the next hop. */
static void advance(void) {
  for (uint32_t i = FRONT_END_HOP; i < FRONT_END_WINDOW; i++) {
    state.history[i - FRONT_END_HOP] = state.history[i];
  }
  state.filled = FRONT_END_WINDOW - FRONT_END_HOP;
}

static uint32_t at_most(uint32_t count, uint32_t limit) { return count < limit ? count : limit; }

uint32_t front_end_push(const int16_t *samples, uint32_t count) {
  uint32_t completed = 0;
  count = at_most(count, state.samples_left);
  state.samples_left -= state.samples_left != NO_END ? count : 0u;
  const uint32_t skipped = at_most(count, state.to_skip);
  state.to_skip -= skipped;
  samples += skipped;
  count -= skipped;
  while (count > 0 && state.rows_left > 0) {
    const uint32_t taken = at_most(count, FRONT_END_WINDOW - state.filled);
    for (uint32_t i = 0; i < taken; i++) {
      state.history[state.filled + i] = samples[i];
    }
    samples += taken;
    count -= taken;
    state.filled += taken;
    if (state.filled == FRONT_END_WINDOW || (state.samples_left == 0 && state.held == 0)) {
      add_row();
      advance();
      completed++;
    }
  }
  return completed;
}

uint32_t front_end_samples_to_row(void) { return FRONT_END_WINDOW - state.filled; }

uint32_t front_end_rows(void) { return state.held; }

/* Index of the oldest row. */
static uint32_t oldest(void) {
  return state.held < FRONT_END_FRAMES || state.newest + 1u == FRONT_END_FRAMES ? 0u : state.newest + 1u;
}

/* Index of the row after `row`, where the newest is followed by the oldest again. */
static uint32_t after(uint32_t row) { return row + 1u < state.held ? row + 1u : 0u; }

#if FRONT_END_CLIP_MEAN != FRONT_END_CLIP_MEAN_KEEP

/* Nearest integer, ties up. The levels of the largest map that a recipe may ask for sum to less than 2^32. */
static int32_t mean_of(uint32_t sum, uint32_t count) { return (int32_t)((sum + count / 2u) / count); }

/* Sum of neighbouring bands over the map that begins with the oldest row. */
static uint32_t sum_of_bands(uint32_t first, uint32_t bands) {
  uint32_t sum = 0;
  uint32_t row = oldest();
  for (uint32_t frame = 0; frame < FRONT_END_FRAMES; frame++) {
    for (uint32_t band = first; band < first + bands; band++) {
      sum += ring[row][band];
    }
    row = after(row);
  }
  return sum;
}

#endif

/* What is taken off each band's levels: the training set's mean and, as the recipe asks, the clip's. */
static void set_means(int32_t *means) {
#if FRONT_END_CLIP_MEAN == FRONT_END_CLIP_MEAN_LEVEL
  const int32_t clip_mean = mean_of(sum_of_bands(0, FRONT_END_MELS), FRONT_END_MAP_BYTES);
#endif
  for (uint32_t band = 0; band < FRONT_END_MELS; band++) {
#if FRONT_END_CLIP_MEAN == FRONT_END_CLIP_MEAN_BAND
    const int32_t clip_mean = mean_of(sum_of_bands(band, 1), FRONT_END_FRAMES);
#elif FRONT_END_CLIP_MEAN == FRONT_END_CLIP_MEAN_KEEP
    const int32_t clip_mean = 0;
#endif
    means[band] = front_end_normalizations[band].mean + clip_mean;
  }
}

/* A level without its mean is less than 2^18, so that 32 bits are enough for the product's upper part. */
static int8_t quantized(int32_t level, int32_t gain) {
  const int64_t product = (int64_t)level * gain + (INT64_C(1) << (GAIN_BITS - 1));
  const int32_t value = (int32_t)(product >> GAIN_BITS) + FRONT_END_ZERO_POINT;
  return (int8_t)(value < INT8_LOWEST ? INT8_LOWEST : value > INT8_HIGHEST ? INT8_HIGHEST : value);
}

int front_end_map(int8_t *map) {
  if (state.held == 0) {
    return -1;
  }
  int32_t means[FRONT_END_MELS];
  set_means(means);
  uint32_t row = oldest();
  for (uint32_t frame = 0; frame < FRONT_END_FRAMES; frame++) {
    for (uint32_t band = 0; band < FRONT_END_MELS; band++) {
      *map++ = quantized(ring[row][band] - means[band], front_end_normalizations[band].gain);
    }
    row = after(row);
  }
  return 0;
}
