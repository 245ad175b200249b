/* SPDX-License-Identifier: Apache-2.0 */
#include "server_listen.h"

#include <string.h>

#include "audio_ring.h"
#include "crc32.h"
#include "energy_gate.h"
#include "engine.h"
#include "front_end.h"
#include "le_bytes.h"
#include "model_info.h"
#include "port.h"
#include "sliding_window.h"

#ifdef BOARD_MICROPHONE
#include "port_microphone.h"
#endif

/* C99 has no static assertion: an array of negative size stops the compiler. */
#define REQUIRE(name, condition) typedef char require_##name[(condition) ? 1 : -1]

/* The server reads 64 bytes at once: the end of a frame that fills the ring, and two short ones. */
REQUIRE(what_the_line_brings_at_once_fits_the_ring, SERVER_MAX_PAYLOAD / 2u + 64u <= AUDIO_RING_SAMPLES);
REQUIRE(messages_fit, LISTEN_MOST_BYTES <= SERVER_MAX_PAYLOAD);

#define SAMPLE_RATE_HZ 16000u
#define SAMPLE_BYTES 2u

static struct {
  uint8_t source; /* enum listen_source */
  uint8_t flags;
  uint32_t received; /* samples that the line has brought */
  uint32_t heard;    /* samples that were taken from the ring */
  uint32_t decisions;
  uint32_t front_end_ticks; /* since the last decision */
  int16_t block[LISTEN_BLOCK];
  uint32_t block_length, block_at;
  uint8_t block_is_said; /* in SOUND, if it is wanted */
} live;

void listen_stop(void) {
#ifdef BOARD_MICROPHONE
  if (live.source == LISTEN_MICROPHONE) {
    port_microphone_stop();
    port_microphone_show(-1);
  }
#endif
  memset(&live, 0, sizeof live);
}

static int start_source(uint8_t source) {
#ifdef BOARD_MICROPHONE
  if (source == LISTEN_MICROPHONE) {
    return port_microphone_start();
  }
#endif
  return source == LISTEN_MICROPHONE ? -1 : 0;
}

static size_t put_answer(uint8_t *payload) {
  memset(payload, 0, LISTEN_ANSWER_FIELDS_BYTES);
  le_put_u32(payload + LISTEN_ANSWER_AT_SAMPLE_RATE_HZ, SAMPLE_RATE_HZ);
  le_put_u32(payload + LISTEN_ANSWER_AT_RING_SAMPLES, AUDIO_RING_SAMPLES);
  le_put_u16(payload + LISTEN_ANSWER_AT_FRAMES, FRONT_END_FRAMES);
  le_put_u16(payload + LISTEN_ANSWER_AT_WINDOW_SAMPLES, FRONT_END_WINDOW);
  le_put_u16(payload + LISTEN_ANSWER_AT_HOP_SAMPLES, FRONT_END_HOP);
  return LISTEN_ANSWER_FIELDS_BYTES;
}

int listen_start(const struct frame *request, uint8_t *payload, size_t *length, uint32_t *detail) {
  const uint8_t *const p = request->payload;
  uint32_t period;
  if (request->length != LISTEN_FIELDS_BYTES) {
    *detail = request->length;
    return ERROR_BAD_LENGTH;
  }
  period = le_get_u16(p + LISTEN_AT_PERIOD);
  if (p[LISTEN_AT_SOURCE] > LISTEN_LINE || (p[LISTEN_AT_SOURCE] != LISTEN_NONE && period == 0)) {
    *detail = p[LISTEN_AT_SOURCE];
    return ERROR_OUT_OF_RANGE;
  }
  listen_stop();
  audio_ring_clear();
  energy_gate_start(le_get_u32(p + LISTEN_AT_GATE_POWER), le_get_u16(p + LISTEN_AT_GATE_HOPS));
  sliding_window_start(period);
  if (start_source(p[LISTEN_AT_SOURCE]) != 0) {
    *detail = p[LISTEN_AT_SOURCE];
    return ERROR_NO_MICROPHONE;
  }
  live.source = p[LISTEN_AT_SOURCE];
  live.flags = p[LISTEN_AT_FLAGS];
  *length = put_answer(payload);
  return 0;
}

int listen_is_for(const struct frame *audio) {
  return live.source == LISTEN_LINE && audio->length > AUDIO_FIELDS_BYTES &&
         le_get_u32(audio->payload + AUDIO_AT_SAMPLES) == 0;
}

int listen_take(const struct frame *audio, uint32_t *detail) {
  const uint32_t bytes = audio->length - AUDIO_FIELDS_BYTES;
  const uint32_t count = bytes / SAMPLE_BYTES;
  const uint8_t *p = audio->payload + AUDIO_FIELDS_BYTES;
  int16_t samples[SERVER_MAX_PAYLOAD / SAMPLE_BYTES];
  if (bytes % SAMPLE_BYTES != 0) {
    *detail = audio->length;
    return ERROR_BAD_LENGTH;
  }
  if (le_get_u32(audio->payload + AUDIO_AT_OFFSET) != live.received) {
    *detail = live.received;
    return ERROR_BAD_STATE;
  }
  for (uint32_t i = 0; i < count; i++) {
    samples[i] = (int16_t)le_get_u16(p + (size_t)SAMPLE_BYTES * i);
  }
  audio_ring_put(samples, count);
  live.received += count;
  return 0;
}

uint32_t listen_received(void) { return live.received; }

int listen_holds_the_line(void) {
  return live.source == LISTEN_LINE && (live.block_at < live.block_length || audio_ring_waiting() > 0);
}

static size_t put_sound(uint8_t *payload) {
  le_put_u32(payload + SOUND_AT_OFFSET, live.heard);
  for (uint32_t i = 0; i < live.block_length; i++) {
    le_put_u16(payload + SOUND_FIELDS_BYTES + (size_t)SAMPLE_BYTES * i, (uint16_t)live.block[i]);
  }
  return SOUND_FIELDS_BYTES + (size_t)SAMPLE_BYTES * live.block_length;
}

#ifdef BOARD_MICROPHONE
/* The first of the classes with the highest score; -1 if the gate is closed. */
static void show_class(int open) {
  int best = open ? 0 : -1;
  for (uint32_t i = 1; open && i < MODEL_OUTPUT_BYTES; i++) {
    if (engine_output()[i] > engine_output()[best]) {
      best = (int)i;
    }
  }
  port_microphone_show(best);
}
#endif

/* Runs the model and tells of it in `payload`; returns the engine's status and the length of the output there. */
static int put_inference(uint8_t *payload, size_t *output_length) {
  const size_t length = MODEL_OUTPUT_BYTES < SERVER_INLINE_OUTPUT ? MODEL_OUTPUT_BYTES : SERVER_INLINE_OUTPUT;
  uint32_t begin = port_ticks();
  int status;
  (void)front_end_map(engine_input());
  live.front_end_ticks += port_ticks() - begin;
  le_put_u32(payload + DECISION_AT_FEATURES_CRC, crc32_update(0, engine_input(), MODEL_INPUT_BYTES));
  begin = port_ticks();
  status = engine_invoke();
  le_put_u32(payload + DECISION_AT_TICKS, port_ticks() - begin);
  if (status != 0) {
    return status;
  }
  le_put_u32(payload + DECISION_AT_OUTPUT_CRC, crc32_update(0, engine_output(), MODEL_OUTPUT_BYTES));
  memcpy(payload + DECISION_FIELDS_BYTES, engine_output(), length);
  *output_length = length;
  return 0;
}

static size_t decide(uint8_t *payload) {
  const int open = energy_gate_is_open();
  size_t output_length = 0;
  int status = 0;
  memset(payload, 0, DECISION_FIELDS_BYTES);
  if (open) {
    status = put_inference(payload, &output_length);
  }
#ifdef BOARD_MICROPHONE
  show_class(open && status == 0);
#endif
  le_put_u32(payload + DECISION_AT_NUMBER, live.decisions);
  le_put_u32(payload + DECISION_AT_ROWS, sliding_window_rows());
  le_put_u32(payload + DECISION_AT_POWER, energy_gate_power());
  le_put_u32(payload + DECISION_AT_LOST_BLOCKS, audio_ring_lost_blocks());
  le_put_u32(payload + DECISION_AT_LOST_SAMPLES, audio_ring_lost_samples());
  le_put_u32(payload + DECISION_AT_FRONT_END_TICKS, live.front_end_ticks);
  payload[DECISION_AT_GATE_OPEN] = (uint8_t)open;
  payload[DECISION_AT_ENGINE_STATUS] = (uint8_t)status;
  live.decisions++;
  live.front_end_ticks = 0;
  if (status != 0) {
    listen_stop(); /* it would fail again and again */
  }
  return DECISION_FIELDS_BYTES + output_length;
}

static int take_block(void) {
  live.block_length = audio_ring_take(live.block, LISTEN_BLOCK);
  live.block_at = 0;
  live.block_is_said = 0;
  return live.block_length > 0;
}

enum listen_work listen_poll(uint8_t *payload, size_t *length, uint8_t *type) {
  uint32_t begin, taken;
  int due = 0;
  if (live.source == LISTEN_NONE || (live.block_at == live.block_length && !take_block())) {
    return LISTEN_NOTHING;
  }
  if ((live.flags & LISTEN_SEND_SOUND) != 0 && !live.block_is_said) {
    live.block_is_said = 1;
    *type = MESSAGE_SOUND;
    *length = put_sound(payload);
    return LISTEN_SAYS;
  }
  begin = port_ticks();
  taken = sliding_window_push(live.block + live.block_at, live.block_length - live.block_at, &due);
  live.front_end_ticks += port_ticks() - begin;
  live.block_at += taken;
  live.heard += taken;
  if (!due) {
    return LISTEN_WORKED;
  }
  *type = MESSAGE_DECISION;
  *length = decide(payload);
  return LISTEN_SAYS;
}
