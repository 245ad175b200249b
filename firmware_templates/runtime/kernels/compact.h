/* SPDX-License-Identifier: Apache-2.0 */
/* Layers with weights in a build for size: CONV_2D, FULLY_CONNECTED and DEPTHWISE_CONV_2D without dilation.
 * One function walks the output pixels of all of them; another one, named in the description, makes four
 * channels of one pixel. Inputs are read where they lie, and need scratch only where pixels are no whole
 * words.
 *
 * All constants of a layer are one stream in the order of their use. For each block of four channels:
 *   4 words       what their sums start from
 *   weights       as the function for blocks has them, `tap_words` words for each tap
 *   4 * 3 words   multiplier, constant, shift of the signed way (matmul.h)
 * Inputs become int16 less the zero point, so that taps in the border are left out. */
#ifndef AOT_COMPACT_H
#define AOT_COMPACT_H

#include "dsp.h"

/* Channels of a block of the stream, and words of it before and after the weights. */
#define AOT_COMPACT_BLOCK 4
#define AOT_COMPACT_STARTS AOT_COMPACT_BLOCK
#define AOT_COMPACT_ENDS (3 * AOT_COMPACT_BLOCK)

struct aot_compact_range {
  int8_t min;
  int8_t max;
};

/* The taps of one output pixel that are inside the image. */
struct aot_compact_taps {
  const int8_t *pixels; /* of the first one; four channels further for each block of a depthwise layer */
  int32_t rows;
  int32_t row_inputs; /* bytes from the first tap of a row to the end of its last one */
  int32_t row_bytes;  /* of the image, from row to row */
  int32_t row_words;  /* of the weights, likewise */
  int32_t tap_bytes;  /* of the image, from tap to tap */
  int32_t skipped;    /* words of weights before those of the first tap */
  int32_t words;      /* of weights in a block */
  uint32_t offset;    /* minus the zero point of the input, in both halves */
  const struct aot_compact_range *range;
};

/* The outputs of `count` channels, the first of a block of the stream. */
typedef void (*aot_compact_block)(const struct aot_compact_taps *taps, const uint32_t *block, int32_t count,
                                  int8_t *output);

struct aot_compact {
  struct aot_image input;
  struct aot_image output;
  struct aot_window window;
  const uint32_t *stream;
  aot_compact_block block;
  aot_dimension tap_words; /* words of weights in a block for each tap */
  aot_dimension gathered;  /* bytes of a window, padded to whole words, in scratch; 0 without */
  int8_t step;             /* bytes of the input from block to block */
  int8_t zero_point;       /* of the input */
  struct aot_compact_range range;
};

/* The outputs of `count` channels, at least one, from their sums. */
static AOT_NOINLINE __attribute__((unused)) void aot_compact_finish(const struct aot_compact_taps *taps,
                                                                    const uint32_t *block, int32_t count,
                                                                    int8_t *output, const int32_t *sums) {
  const uint32_t *parameters = block + AOT_COMPACT_STARTS + taps->words;
  const int32_t min = taps->range->min, max = taps->range->max;
  const int8_t *const end = output + count;
  do {
    /* Of a channel of one output the sum may be any. */
    const int32_t x = (int32_t)((uint32_t)*sums++ * 2u);
    const int32_t high = aot_rounded_high_mac(x, (int32_t)parameters[0], (int32_t)parameters[1]);
    const int32_t scaled = (high + (x >> 31)) >> parameters[2];
    *output++ = (int8_t)aot_clamp(scaled, min, max);
    parameters += 3;
  } while (output != end);
}

/* A window that is not whole words, with its border and padding. */
AOT_INLINE void aot_compact_gather(const struct aot_compact *layer, struct aot_compact_taps *taps,
                                   int8_t *window) {
  int8_t *to = window + taps->skipped;
  memset(window, layer->zero_point, (size_t)layer->gathered);
  for (int32_t i = 0; i < taps->rows; ++i) {
    memcpy(to, taps->pixels, (size_t)taps->row_inputs);
    taps->pixels += taps->row_bytes;
    to += taps->row_words;
  }
  taps->pixels = window;
  taps->rows = 1;
  taps->row_inputs = layer->gathered;
  taps->skipped = 0;
}

/* All channels of the output pixel at y, x; returns the next one. */
AOT_INLINE int8_t *aot_compact_pixel(const struct aot_compact *layer, struct aot_compact_taps *taps,
                                     const int8_t *input, int32_t y, int32_t x, int8_t *scratch,
                                     int8_t *output) {
  const struct aot_pixel_taps inside = aot_taps_of_pixel(&layer->window, &layer->input, y, x);
  const int32_t row = inside.origin_y + inside.rows.first, column = inside.origin_x + inside.columns.first;
  taps->pixels = input + row * taps->row_bytes + column * taps->tap_bytes;
  taps->rows = inside.rows.end - inside.rows.first;
  taps->row_inputs = (inside.columns.end - inside.columns.first) * taps->tap_bytes;
  taps->skipped = inside.rows.first * taps->row_words + inside.columns.first * layer->tap_words;
  if (scratch != 0) {
    aot_compact_gather(layer, taps, scratch);
  }
  const uint32_t *block = layer->stream;
  for (int32_t left = layer->output.channels; left > 0; left -= AOT_COMPACT_BLOCK) {
    const int32_t count = aot_min(left, AOT_COMPACT_BLOCK);
    layer->block(taps, block, count, output);
    taps->pixels += layer->step;
    output += count;
    block += AOT_COMPACT_STARTS + taps->words + AOT_COMPACT_ENDS;
  }
  return output;
}

/* `scratch`: `gathered` bytes; 0 for none. */
static AOT_NOINLINE __attribute__((unused)) void aot_compact_gathered(const struct aot_compact *layer,
                                                                      const int8_t *input, int8_t *output,
                                                                      int8_t *scratch) {
  struct aot_compact_taps taps;
  taps.tap_bytes = layer->input.channels;
  taps.row_bytes = layer->input.width * taps.tap_bytes;
  taps.row_words = layer->window.width * layer->tap_words;
  taps.words = scratch != 0 ? layer->gathered : layer->window.height * taps.row_words;
  taps.offset = aot_pack(-layer->zero_point, -layer->zero_point);
  taps.range = &layer->range;
  for (int32_t y = 0; y < layer->output.height; ++y) {
    for (int32_t x = 0; x < layer->output.width; ++x) {
      output = aot_compact_pixel(layer, &taps, input, y, x, scratch, output);
    }
  }
}

/* The same without scratch. */
AOT_INLINE void aot_compact(const struct aot_compact *layer, const int8_t *input, int8_t *output) {
  aot_compact_gathered(layer, input, output, 0);
}

#endif
