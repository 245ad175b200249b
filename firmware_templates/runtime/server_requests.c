/* SPDX-License-Identifier: Apache-2.0 */
#include "server_requests.h"

#include <string.h>

#include "crc32.h"
#include "engine.h"
#include "le_bytes.h"
#include "model_info.h"
#include "packed_input.h"
#include "port.h"
#include "server_config.h"
#include "server_hello.h"

#ifdef MODEL_FRONT_END
#include "server_audio.h"
#include "server_listen.h"
#endif
#ifdef MODEL_LAYERS
#include "server_layers.h"
#endif

/* C99 has no static assertion: an array of negative size stops the compiler. */
#define REQUIRE(name, condition) typedef char require_##name[(condition) ? 1 : -1]

REQUIRE(offset_is_first_in_both_inputs, INPUT_PACKED_AT_OFFSET == INPUT_AT_OFFSET);
REQUIRE(inline_output_fits, INFER_ANSWER_FIELDS_BYTES + SERVER_INLINE_OUTPUT <= SERVER_MAX_PAYLOAD);

static struct {
  int engine_status;
  uint8_t arena_is_cut;
  uint8_t output_valid; /* the engine's output is that of the last INFER */
  uint8_t of_audio;     /* `received` counts samples of AUDIO */
  uint32_t received;    /* input bytes that are in place, from offset 0 on */
  uint32_t inferences;
} state;

/* An answer that is being made. */
struct answer {
  uint8_t *payload;
  size_t length;
  uint8_t type;
};

void requests_put_refusal(uint8_t *payload, const struct frame *request, enum error_code code,
                          uint32_t detail) {
  memset(payload, 0, ERROR_FIELDS_BYTES);
  payload[ERROR_AT_REQUEST] = request->type;
  payload[ERROR_AT_CODE] = (uint8_t)code;
  le_put_u32(payload + ERROR_AT_DETAIL, detail);
}

static void refuse(struct answer *answer, const struct frame *request, enum error_code code,
                   uint32_t detail) {
  requests_put_refusal(answer->payload, request, code, detail);
  answer->type = MESSAGE_ERROR;
  answer->length = ERROR_FIELDS_BYTES;
}

/* Input or arena have changed: what the last run has left is no longer its result. */
static void forget_results(void) {
  state.output_valid = 0;
#ifdef MODEL_LAYERS
  layers_forget();
#endif
}

uint32_t requests_received(void) { return state.received; }

static int is_audio(uint8_t type) {
#ifdef MODEL_FRONT_END
  return type == MESSAGE_AUDIO;
#else
  (void)type;
  return 0;
#endif
}

int requests_is_input(uint8_t type) {
  return type == MESSAGE_INPUT || type == MESSAGE_INPUT_PACKED || is_audio(type);
}

int requests_input_continues(const struct frame *request) {
  uint32_t offset;
  if (request->length < INPUT_FIELDS_BYTES) {
    return 1; /* no offset at all: refused when it is carried out */
  }
  offset = le_get_u32(request->payload + INPUT_AT_OFFSET);
  return offset == 0 || (offset == state.received && is_audio(request->type) == state.of_audio);
}

/* There is no input, be it of INPUT or of AUDIO, and none is listened to. */
static void forget_input(void) {
  state.received = 0;
  state.of_audio = 0;
#ifdef MODEL_FRONT_END
  audio_forget();
  listen_stop();
#endif
}

/* Takes note of the input bytes or samples that are in place now, and says so. */
static void answer_received(struct answer *answer, const struct frame *request, uint32_t received) {
  state.received = received;
  memset(answer->payload, 0, INPUT_ANSWER_FIELDS_BYTES);
  le_put_u16(answer->payload + INPUT_ANSWER_AT_NEXT_SEQ, (uint16_t)(request->seq + 1u));
  le_put_u32(answer->payload + INPUT_ANSWER_AT_RECEIVED, received);
  answer->length = INPUT_ANSWER_FIELDS_BYTES;
}

static void do_input(struct answer *answer, const struct frame *request) {
  size_t length;
  uint32_t offset;
  if (request->length <= INPUT_FIELDS_BYTES) {
    refuse(answer, request, ERROR_BAD_LENGTH, request->length);
    return;
  }
  length = request->length - INPUT_FIELDS_BYTES;
  offset = le_get_u32(request->payload + INPUT_AT_OFFSET);
  if (offset > MODEL_INPUT_BYTES || length > MODEL_INPUT_BYTES - offset) {
    refuse(answer, request, ERROR_OUT_OF_RANGE, offset);
    return;
  }
  memcpy(engine_input() + offset, request->payload + INPUT_FIELDS_BYTES, length);
  forget_input(); /* one that was of AUDIO */
  forget_results();
  answer_received(answer, request, offset + (uint32_t)length);
}

static void do_input_packed(struct answer *answer, const struct frame *request) {
  const uint8_t *const p = request->payload;
  struct packed_neighbours neighbours;
  uint32_t offset, count;
  if (request->length <= INPUT_PACKED_FIELDS_BYTES) {
    refuse(answer, request, ERROR_BAD_LENGTH, request->length);
    return;
  }
  offset = le_get_u32(p + INPUT_PACKED_AT_OFFSET);
  count = le_get_u16(p + INPUT_PACKED_AT_COUNT);
  neighbours.above = le_get_u16(p + INPUT_PACKED_AT_ABOVE);
  neighbours.left = p[INPUT_PACKED_AT_LEFT];
  if (offset > MODEL_INPUT_BYTES || count > MODEL_INPUT_BYTES - offset || neighbours.above == 0 ||
      neighbours.left == 0) {
    refuse(answer, request, ERROR_OUT_OF_RANGE, offset);
    return;
  }
  forget_input();
  forget_results();
  state.received = offset; /* what is behind may be overwritten by a stream that turns out to be none */
  if (!packed_input_decode(engine_input(), offset, count, &neighbours, p + INPUT_PACKED_FIELDS_BYTES,
                           request->length - INPUT_PACKED_FIELDS_BYTES)) {
    refuse(answer, request, ERROR_BAD_LENGTH, request->length);
    return;
  }
  answer_received(answer, request, offset + count);
}

/* The answer to INFER, or the start of that to HEAR; the output begins behind `fields` bytes. */
static void answer_inference(struct answer *answer, const struct frame *request, uint32_t ticks, size_t fields) {
  const int8_t *output = engine_output();
  const size_t length = MODEL_OUTPUT_BYTES < SERVER_INLINE_OUTPUT ? MODEL_OUTPUT_BYTES : SERVER_INLINE_OUTPUT;
  uint8_t *p = answer->payload;
  memcpy(p + INFER_ANSWER_AT_SAMPLE, request->payload + INFER_AT_SAMPLE, 4);
  le_put_u32(p + INFER_ANSWER_AT_TICKS_LOW, ticks);
  le_put_u32(p + INFER_ANSWER_AT_TICKS_HIGH, 0);
  le_put_u32(p + INFER_ANSWER_AT_OUTPUT_CRC, crc32_update(0, output, MODEL_OUTPUT_BYTES));
  memcpy(p + fields, output, length);
  answer->length = fields + length;
}

/* Returns 1 if the whole input is in place with the CRC-32 that the host has announced, else refuses the
 * request and returns 0. */
static int take_input(struct answer *answer, const struct frame *request, uint32_t announced_crc) {
  uint32_t crc;
  if (state.of_audio || state.received != MODEL_INPUT_BYTES) {
    refuse(answer, request, ERROR_BAD_STATE, state.received);
    return 0;
  }
  state.received = 0; /* invoking destroys the input, and a wrong one is of no use */
  crc = crc32_update(0, engine_input(), MODEL_INPUT_BYTES);
  if (crc != announced_crc) {
    refuse(answer, request, ERROR_BAD_INPUT_CRC, crc);
    return 0;
  }
  return 1;
}

/* Runs the model on the input that is in place, and answers with its output behind `fields` bytes. Returns
 * whether it could. */
static int run_model(struct answer *answer, const struct frame *request, size_t fields) {
  const uint32_t start = port_ticks();
  const int status = engine_invoke();
  const uint32_t ticks = port_ticks() - start;
  if (status != 0) {
    refuse(answer, request, ERROR_ENGINE, (uint32_t)status);
    return 0;
  }
  state.inferences++;
  state.output_valid = 1;
  answer_inference(answer, request, ticks, fields);
  return 1;
}

static void do_infer(struct answer *answer, const struct frame *request) {
  if (request->length != INFER_FIELDS_BYTES) {
    refuse(answer, request, ERROR_BAD_LENGTH, request->length);
    return;
  }
  if (!take_input(answer, request, le_get_u32(request->payload + INFER_AT_INPUT_CRC))) {
    return;
  }
  (void)run_model(answer, request, INFER_ANSWER_FIELDS_BYTES);
}

#ifdef MODEL_FRONT_END
static void do_audio(struct answer *answer, const struct frame *request) {
  const int played = listen_is_for(request);
  uint32_t detail = 0;
  const int code = played ? listen_take(request, &detail) : audio_take(request, &detail);
  if (code != 0) {
    refuse(answer, request, (enum error_code)code, detail);
    return;
  }
  if (!played) {
    listen_stop();
  }
  state.of_audio = 1;
  answer_received(answer, request, played ? listen_received() : audio_received());
}

static void do_listen(struct answer *answer, const struct frame *request) {
  uint32_t detail = 0;
  forget_input();
  forget_results();
  state.of_audio = 1;
  const int code = listen_start(request, answer->payload, &answer->length, &detail);
  if (code != 0) {
    refuse(answer, request, (enum error_code)code, detail);
  }
}

static void do_hear(struct answer *answer, const struct frame *request) {
  struct audio_features features = {0, 0, 0};
  uint32_t detail = 0;
  const int code = audio_map(request, &features, &detail);
  if (state.of_audio) {
    state.received = audio_received();
  }
  if (code != 0) {
    refuse(answer, request, (enum error_code)code, detail);
    return;
  }
  forget_results();
  if (run_model(answer, request, HEAR_ANSWER_FIELDS_BYTES)) {
    le_put_u32(answer->payload + HEAR_ANSWER_AT_FEATURES_CRC, features.crc);
    le_put_u32(answer->payload + HEAR_ANSWER_AT_ROWS, features.rows);
    le_put_u32(answer->payload + HEAR_ANSWER_AT_FRONT_END_TICKS, features.ticks);
  }
}

static void do_feature_map(struct answer *answer, const struct frame *request) {
  uint32_t detail = 0;
  const int code = audio_read_map(request, answer->payload, &answer->length, &detail);
  if (code != 0) {
    refuse(answer, request, (enum error_code)code, detail);
    return;
  }
  forget_results(); /* the map has overwritten the input, where an output may lie */
}
#endif

#ifdef MODEL_LAYERS
static void do_layers(struct answer *answer, const struct frame *request) {
  uint32_t detail = 0;
  int code = layers_check(request, &detail);
  if (code == 0) {
    if (!take_input(answer, request, le_get_u32(request->payload + LAYERS_AT_INPUT_CRC))) {
      return;
    }
    code = layers_run(request, answer->payload, &answer->length, &detail);
  }
  if (code != 0) {
    refuse(answer, request, (enum error_code)code, detail);
  }
}

static void do_tensor(struct answer *answer, const struct frame *request) {
  uint32_t detail = 0;
  const int code = layers_read(request, answer->payload, &answer->length, &detail);
  if (code != 0) {
    refuse(answer, request, (enum error_code)code, detail);
  }
}
#endif

static void do_output(struct answer *answer, const struct frame *request) {
  uint32_t offset, length;
  if (request->length != OUTPUT_FIELDS_BYTES) {
    refuse(answer, request, ERROR_BAD_LENGTH, request->length);
    return;
  }
  if (!state.output_valid) {
    refuse(answer, request, ERROR_BAD_STATE, 0);
    return;
  }
  offset = le_get_u32(request->payload + OUTPUT_AT_OFFSET);
  length = le_get_u32(request->payload + OUTPUT_AT_LENGTH);
  if (offset > MODEL_OUTPUT_BYTES || length > MODEL_OUTPUT_BYTES - offset ||
      length > SERVER_MAX_PAYLOAD - OUTPUT_ANSWER_FIELDS_BYTES) {
    refuse(answer, request, ERROR_OUT_OF_RANGE, offset);
    return;
  }
  le_put_u32(answer->payload + OUTPUT_ANSWER_AT_OFFSET, offset);
  memcpy(answer->payload + OUTPUT_ANSWER_FIELDS_BYTES, engine_output() + offset, length);
  answer->length = OUTPUT_ANSWER_FIELDS_BYTES + length;
}

/* Takes note that the engine was prepared within so many bytes: its buffers are others than before. */
static void engine_prepared(uint32_t arena_bytes, int status) {
  forget_input();
  forget_results();
  state.engine_status = status;
  state.arena_is_cut = arena_bytes != engine_arena_bytes();
}

static void do_arena(struct answer *answer, const struct frame *request) {
  uint32_t bytes;
  int status;
  if (request->length != ARENA_FIELDS_BYTES) {
    refuse(answer, request, ERROR_BAD_LENGTH, request->length);
    return;
  }
  bytes = le_get_u32(request->payload + ARENA_AT_BYTES);
  if (bytes > engine_arena_bytes()) {
    refuse(answer, request, ERROR_OUT_OF_RANGE, bytes);
    return;
  }
  status = engine_init_within(bytes);
  if (status == ENGINE_ARENA_IS_FIXED) {
    refuse(answer, request, ERROR_ENGINE, ENGINE_ARENA_IS_FIXED);
    return;
  }
  engine_prepared(bytes, status);
  le_put_u32(answer->payload + ARENA_ANSWER_AT_BYTES, bytes);
  le_put_u32(answer->payload + ARENA_ANSWER_AT_USED, engine_arena_used());
  le_put_u32(answer->payload + ARENA_ANSWER_AT_ENGINE_STATUS, (uint32_t)status);
  answer->length = ARENA_ANSWER_FIELDS_BYTES;
}

void requests_init(int engine_status) {
  memset(&state, 0, sizeof state);
  state.engine_status = engine_status;
}

void requests_start_session(void) {
  const uint32_t whole = engine_arena_bytes();
  if (state.arena_is_cut) {
    engine_prepared(whole, engine_init_within(whole));
  }
  forget_input();
  forget_results();
}

size_t requests_carry_out(const struct frame *request, const struct server_counters *counters,
                          uint8_t *payload, uint8_t *type) {
  const int needs_engine = requests_is_input(request->type) || request->type == MESSAGE_INFER ||
                           request->type == MESSAGE_HEAR || request->type == MESSAGE_LISTEN;
  struct answer answer = {payload, 0, (uint8_t)(request->type | PROTOCOL_ANSWER)};
  if (needs_engine && state.engine_status != 0) {
    refuse(&answer, request, ERROR_ENGINE, (uint32_t)state.engine_status);
  } else {
    switch (request->type) {
      case MESSAGE_HELLO: answer.length = hello_answer(payload, state.engine_status); break;
      case MESSAGE_INPUT: do_input(&answer, request); break;
      case MESSAGE_INPUT_PACKED: do_input_packed(&answer, request); break;
      case MESSAGE_INFER: do_infer(&answer, request); break;
      case MESSAGE_OUTPUT: do_output(&answer, request); break;
      case MESSAGE_STATS: answer.length = stats_answer(payload, counters, state.inferences); break;
      case MESSAGE_ECHO:
        memcpy(payload, request->payload, request->length);
        answer.length = request->length;
        break;
      case MESSAGE_RESET: break;
      case MESSAGE_ARENA: do_arena(&answer, request); break;
#ifdef MODEL_FRONT_END
      case MESSAGE_AUDIO: do_audio(&answer, request); break;
      case MESSAGE_HEAR: do_hear(&answer, request); break;
      case MESSAGE_FEATURE_MAP: do_feature_map(&answer, request); break;
      case MESSAGE_LISTEN: do_listen(&answer, request); break;
#endif
#ifdef MODEL_LAYERS
      case MESSAGE_LAYERS: do_layers(&answer, request); break;
      case MESSAGE_TENSOR: do_tensor(&answer, request); break;
#endif
      default: refuse(&answer, request, ERROR_UNKNOWN_TYPE, request->type); break;
    }
  }
  *type = answer.type;
  return answer.length;
}
