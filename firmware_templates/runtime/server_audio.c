/* SPDX-License-Identifier: Apache-2.0 */
#include "server_audio.h"

#include <string.h>

#include "crc32.h"
#include "engine.h"
#include "front_end.h"
#include "le_bytes.h"
#include "model_info.h"
#include "port.h"
#include "server_config.h"

/* C99 has no static assertion: an array of negative size stops the compiler. */
#define REQUIRE(name, condition) typedef char require_##name[(condition) ? 1 : -1]

REQUIRE(the_map_is_the_input, FRONT_END_MAP_BYTES == MODEL_INPUT_BYTES);
/* What server_requests.c takes to be the same as with INPUT and INFER. */
REQUIRE(hear_names_its_sample_as_infer, HEAR_AT_SAMPLE == INFER_AT_SAMPLE);
REQUIRE(hear_answers_first_as_infer, HEAR_ANSWER_AT_FEATURES_CRC == INFER_ANSWER_FIELDS_BYTES);
REQUIRE(heard_output_fits, HEAR_ANSWER_FIELDS_BYTES + SERVER_INLINE_OUTPUT <= SERVER_MAX_PAYLOAD);
REQUIRE(offset_is_first_in_audio, AUDIO_AT_OFFSET == INPUT_AT_OFFSET);

/* `samples` of an AUDIO that begins a stream without end; the longest clip. */
#define STREAM 0u
#define LONGEST_CLIP (UINT32_MAX - 1u)

/* Samples that are handed on at once. They come at any address and in the order of the wire. */
enum { BLOCK = 128, SAMPLE_BYTES = 2 };

static struct {
  uint8_t open;     /* there is audio, and HEAR may ask for it */
  uint8_t mapped;   /* the rows are still those of the last HEAR */
  uint32_t samples; /* of the clip, or STREAM */
  uint32_t received;
  uint32_t crc; /* of the bytes received */
  uint32_t rows;
  uint32_t ticks;
} audio;

void audio_forget(void) { memset(&audio, 0, sizeof audio); }

uint32_t audio_received(void) { return audio.open ? audio.received : 0; }

static void start(uint32_t samples) {
  audio_forget();
  audio.open = 1;
  audio.samples = samples;
  if (samples == STREAM) {
    front_end_start_stream();
  } else {
    front_end_start_clip(samples);
  }
}

static void push(const uint8_t *bytes, uint32_t count) {
  int16_t block[BLOCK];
  while (count > 0) {
    const uint32_t taken = count < BLOCK ? count : BLOCK;
    uint32_t begin;
    for (uint32_t i = 0; i < taken; ++i) {
      block[i] = (int16_t)le_get_u16(bytes + (size_t)SAMPLE_BYTES * i);
    }
    begin = port_ticks();
    audio.rows += front_end_push(block, taken);
    audio.ticks += port_ticks() - begin;
    bytes += (size_t)SAMPLE_BYTES * taken;
    count -= taken;
  }
}

int audio_take(const struct frame *request, uint32_t *detail) {
  const uint32_t bytes = request->length - AUDIO_FIELDS_BYTES; /* judged below */
  uint32_t offset, samples, most, count;
  if (request->length <= AUDIO_FIELDS_BYTES || bytes % SAMPLE_BYTES != 0) {
    *detail = request->length;
    return ERROR_BAD_LENGTH;
  }
  offset = le_get_u32(request->payload + AUDIO_AT_OFFSET);
  samples = le_get_u32(request->payload + AUDIO_AT_SAMPLES);
  most = samples == STREAM ? UINT32_MAX : samples;
  count = bytes / SAMPLE_BYTES;
  if (samples > LONGEST_CLIP || offset > most || count > most - offset) {
    *detail = offset;
    return ERROR_OUT_OF_RANGE;
  }
  if (offset == 0) {
    start(samples);
  } else if (!audio.open || offset != audio.received || samples != audio.samples) {
    *detail = audio.received;
    return ERROR_BAD_STATE;
  }
  audio.mapped = 0;
  audio.crc = crc32_update(audio.crc, request->payload + AUDIO_FIELDS_BYTES, bytes);
  push(request->payload + AUDIO_FIELDS_BYTES, count);
  audio.received = offset + count;
  return 0;
}

int audio_map(const struct frame *request, struct audio_features *features, uint32_t *detail) {
  const int clip = audio.samples != STREAM;
  uint32_t begin;
  if (request->length != HEAR_FIELDS_BYTES) {
    *detail = request->length;
    return ERROR_BAD_LENGTH;
  }
  if (!audio.open || (clip && audio.received != audio.samples) || front_end_rows() == 0) {
    *detail = audio.received;
    return ERROR_BAD_STATE;
  }
  audio.open = !clip;
  if (audio.crc != le_get_u32(request->payload + HEAR_AT_AUDIO_CRC)) {
    *detail = audio.crc;
    return ERROR_BAD_INPUT_CRC;
  }
  begin = port_ticks();
  (void)front_end_map(engine_input());
  audio.ticks += port_ticks() - begin;
  audio.mapped = 1;
  features->crc = crc32_update(0, engine_input(), MODEL_INPUT_BYTES);
  features->rows = audio.rows;
  features->ticks = audio.ticks;
  return 0;
}

int audio_read_map(const struct frame *request, uint8_t *payload, size_t *length, uint32_t *detail) {
  uint32_t offset, count;
  if (request->length != FEATURE_MAP_FIELDS_BYTES) {
    *detail = request->length;
    return ERROR_BAD_LENGTH;
  }
  offset = le_get_u32(request->payload + FEATURE_MAP_AT_OFFSET);
  count = le_get_u32(request->payload + FEATURE_MAP_AT_LENGTH);
  if (!audio.mapped) {
    *detail = offset;
    return ERROR_BAD_STATE;
  }
  if (offset > MODEL_INPUT_BYTES || count > MODEL_INPUT_BYTES - offset ||
      count > SERVER_MAX_PAYLOAD - FEATURE_MAP_ANSWER_FIELDS_BYTES) {
    *detail = offset;
    return ERROR_OUT_OF_RANGE;
  }
  (void)front_end_map(engine_input());
  le_put_u32(payload + FEATURE_MAP_ANSWER_AT_OFFSET, offset);
  memcpy(payload + FEATURE_MAP_ANSWER_FIELDS_BYTES, engine_input() + offset, count);
  *length = FEATURE_MAP_ANSWER_FIELDS_BYTES + count;
  return 0;
}
