/* SPDX-License-Identifier: Apache-2.0 */
#include "server.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "crc32.h"
#include "engine.h"
#include "frame.h"
#include "le_bytes.h"
#include "model_info.h"
#include "port.h"
#include "protocol_messages.h"
#include "server_config.h"

/* C99 has no static assertion: an array of negative size stops the compiler. */
#define REQUIRE(name, condition) typedef char require_##name[(condition) ? 1 : -1]

REQUIRE(hello_fits_in_a_frame, HELLO_ANSWER_FIELDS_BYTES <= SERVER_MAX_PAYLOAD);
REQUIRE(host_accepts_the_payload, SERVER_MAX_PAYLOAD <= 4096u);
REQUIRE(inline_output_fits, INFER_ANSWER_FIELDS_BYTES + SERVER_INLINE_OUTPUT <= SERVER_MAX_PAYLOAD);
REQUIRE(board_id_fits_in_hello, sizeof BOARD_ID - 1u <= HELLO_ANSWER_BOARD_ID_BYTES);
REQUIRE(engine_fits_in_hello, sizeof ENGINE_NAME - 1u <= HELLO_ANSWER_ENGINE_BYTES);
REQUIRE(input_rank_fits_in_hello, MODEL_INPUT_RANK <= PROTOCOL_MAX_RANK);
REQUIRE(output_rank_fits_in_hello, MODEL_OUTPUT_RANK <= PROTOCOL_MAX_RANK);

/* Noise without end must not make the device talk without end. */
#define MAX_DAMAGE_NACKS 16u

static const uint8_t model_sha256[HELLO_ANSWER_MODEL_SHA256_BYTES] = MODEL_SHA256;
static const uint8_t build_id[HELLO_ANSWER_BUILD_ID_BYTES] = BUILD_ID;
static const uint32_t input_shape[MODEL_INPUT_RANK] = MODEL_INPUT_SHAPE;
static const uint32_t output_shape[MODEL_OUTPUT_RANK] = MODEL_OUTPUT_SHAPE;

static struct {
  struct frame_decoder decoder;
  int engine_status;

  /* The conversation. A session lasts until another HELLO or a reset. */
  uint8_t in_session;
  uint8_t gap_reported; /* a NACK went out for the present gap */
  uint8_t damage_nacks; /* NACKs for damaged frames since the last good one */
  uint16_t session;
  uint16_t next_seq; /* of the next request to be carried out */

  uint32_t received;    /* input bytes that are in place, from offset 0 on */
  uint8_t output_valid; /* the engine's output is that of the last INFER */

  uint8_t payload[SERVER_MAX_PAYLOAD]; /* of the answer that is being made */
  uint8_t answer[FRAME_WIRE_BYTES(SERVER_MAX_PAYLOAD)]; /* the last one; the host may repeat its request */
  size_t answer_length;

  uint32_t frames_foreign, duplicates, nacks, errors, inferences;
} server;

/* Sends a frame that is not kept: the host repeats its request if this one is lost. */
static void send_unkept(uint8_t type, uint16_t session, uint16_t seq, const uint8_t *payload, size_t length) {
  uint8_t wire[FRAME_WIRE_BYTES(BOOT_FIELDS_BYTES)]; /* BOOT is the longest of them */
  const struct frame frame = {PROTOCOL_VERSION, type, session, seq, (uint16_t)length, payload};
  port_write(wire, frame_encode(wire, &frame));
}

/* Sends server.payload as the answer to `request`. */
static void answer(const struct frame *request, uint8_t type, size_t length) {
  const struct frame frame = {PROTOCOL_VERSION, type,           request->session,
                              request->seq,     (uint16_t)length, server.payload};
  server.answer_length = frame_encode(server.answer, &frame);
  port_write(server.answer, server.answer_length);
}

static void put_refusal(uint8_t *payload, const struct frame *request, enum error_code code, uint32_t detail) {
  memset(payload, 0, ERROR_FIELDS_BYTES);
  payload[ERROR_AT_REQUEST] = request->type;
  payload[ERROR_AT_CODE] = (uint8_t)code;
  le_put_u32(payload + ERROR_AT_DETAIL, detail);
}

static void refuse(const struct frame *request, enum error_code code, uint32_t detail) {
  server.errors++;
  put_refusal(server.payload, request, code, detail);
  answer(request, MESSAGE_ERROR, ERROR_FIELDS_BYTES);
}

/* Refuses a frame that is in no session of ours, and so has no place in the sequence. */
static void refuse_foreign(const struct frame *request, enum error_code code, uint32_t detail) {
  uint8_t payload[ERROR_FIELDS_BYTES];
  server.frames_foreign++;
  put_refusal(payload, request, code, detail);
  send_unkept(MESSAGE_ERROR, request->session, request->seq, payload, sizeof payload);
}

static void put_report(uint8_t *payload) {
  memset(payload, 0, NACK_FIELDS_BYTES);
  le_put_u16(payload + NACK_AT_NEXT_SEQ, server.next_seq);
  le_put_u32(payload + NACK_AT_RECEIVED, server.received);
}

/* Tells the host where we are: as an answer to a repeated INPUT, or as a NACK. */
static void report(const struct frame *request, uint8_t type) {
  uint8_t payload[NACK_FIELDS_BYTES];
  put_report(payload);
  send_unkept(type, request->session, request->seq, payload, sizeof payload);
}

static void nack(const struct frame *request) {
  server.nacks++;
  server.gap_reported = 1;
  report(request, MESSAGE_NACK);
}

/* Something arrived damaged, most likely the request that is next: saying so spares the host its wait. */
static void handle_damage(void) {
  const struct frame missing = {PROTOCOL_VERSION, 0, server.session, server.next_seq, 0, NULL};
  if (server.in_session && server.damage_nacks < MAX_DAMAGE_NACKS) {
    server.damage_nacks++;
    nack(&missing);
  }
}

static void put_fault(uint8_t *pc, uint8_t *lr, uint8_t *cfsr, uint8_t *hfsr) {
  struct port_fault fault = {0, 0, 0, 0};
  if (!port_fault_record(&fault)) {
    memset(&fault, 0, sizeof fault);
  }
  le_put_u32(pc, fault.pc);
  le_put_u32(lr, fault.lr);
  le_put_u32(cfsr, fault.cfsr);
  le_put_u32(hfsr, fault.hfsr);
}

static uint16_t credit(void) {
  uint32_t frames = port_rx_buffer_bytes() / FRAME_WIRE_BYTES(SERVER_MAX_PAYLOAD);
  if (frames < 1) {
    frames = 1;
  }
  return (uint16_t)(frames < 64 ? frames : 64);
}

static void put_model(uint8_t *p) {
  memcpy(p + HELLO_ANSWER_AT_BOARD_ID, BOARD_ID, sizeof BOARD_ID - 1u);
  memcpy(p + HELLO_ANSWER_AT_ENGINE, ENGINE_NAME, sizeof ENGINE_NAME - 1u);
  memcpy(p + HELLO_ANSWER_AT_MODEL_SHA256, model_sha256, sizeof model_sha256);
  memcpy(p + HELLO_ANSWER_AT_BUILD_ID, build_id, sizeof build_id);
  le_put_u32(p + HELLO_ANSWER_AT_INPUT_BYTES, MODEL_INPUT_BYTES);
  le_put_u32(p + HELLO_ANSWER_AT_OUTPUT_BYTES, MODEL_OUTPUT_BYTES);
  p[HELLO_ANSWER_AT_INPUT_RANK] = MODEL_INPUT_RANK;
  p[HELLO_ANSWER_AT_OUTPUT_RANK] = MODEL_OUTPUT_RANK;
  for (size_t i = 0; i < MODEL_INPUT_RANK; ++i) {
    le_put_u32(p + HELLO_ANSWER_AT_INPUT_SHAPE + 4 * i, input_shape[i]);
  }
  for (size_t i = 0; i < MODEL_OUTPUT_RANK; ++i) {
    le_put_u32(p + HELLO_ANSWER_AT_OUTPUT_SHAPE + 4 * i, output_shape[i]);
  }
  le_put_u32(p + HELLO_ANSWER_AT_INPUT_SCALE_BITS, MODEL_INPUT_SCALE_BITS);
  le_put_u32(p + HELLO_ANSWER_AT_INPUT_ZERO_POINT, (uint32_t)(MODEL_INPUT_ZERO_POINT));
  le_put_u32(p + HELLO_ANSWER_AT_OUTPUT_SCALE_BITS, MODEL_OUTPUT_SCALE_BITS);
  le_put_u32(p + HELLO_ANSWER_AT_OUTPUT_ZERO_POINT, (uint32_t)(MODEL_OUTPUT_ZERO_POINT));
}

static void do_hello(const struct frame *request) {
  uint8_t *p = server.payload;
  memset(p, 0, HELLO_ANSWER_FIELDS_BYTES);
  put_model(p);
  le_put_u32(p + HELLO_ANSWER_AT_ARENA_BYTES, engine_arena_bytes());
  le_put_u32(p + HELLO_ANSWER_AT_ARENA_USED, engine_arena_used());
  le_put_u32(p + HELLO_ANSWER_AT_ENGINE_STATUS, (uint32_t)server.engine_status);
  p[HELLO_ANSWER_AT_TICK_SOURCE] = (uint8_t)port_tick_source();
  le_put_u32(p + HELLO_ANSWER_AT_TICK_HZ, port_tick_hz());
  le_put_u32(p + HELLO_ANSWER_AT_CORE_HZ, port_core_hz());
  p[HELLO_ANSWER_AT_RESET_CAUSE] = (uint8_t)port_reset_cause();
  put_fault(p + HELLO_ANSWER_AT_FAULT_PC, p + HELLO_ANSWER_AT_FAULT_LR, p + HELLO_ANSWER_AT_FAULT_CFSR,
            p + HELLO_ANSWER_AT_FAULT_HFSR);
  le_put_u32(p + HELLO_ANSWER_AT_RX_BUFFER_BYTES, port_rx_buffer_bytes());
  le_put_u16(p + HELLO_ANSWER_AT_MAX_PAYLOAD, SERVER_MAX_PAYLOAD);
  le_put_u16(p + HELLO_ANSWER_AT_CREDIT, credit());
  answer(request, MESSAGE_HELLO_ANSWER, HELLO_ANSWER_FIELDS_BYTES);
}

/* Whether an INPUT continues what is in place, or starts anew. The host may cut what it repeats differently,
 * so an INPUT that is next in the sequence can still begin at another byte than the next. */
static int input_continues(const struct frame *request) {
  uint32_t offset;
  if (request->length < INPUT_FIELDS_BYTES) {
    return 1; /* no offset at all: refused when it is carried out */
  }
  offset = le_get_u32(request->payload + INPUT_AT_OFFSET);
  return offset == 0 || offset == server.received;
}

static void do_input(const struct frame *request) {
  size_t length;
  uint32_t offset;
  if (request->length <= INPUT_FIELDS_BYTES) {
    refuse(request, ERROR_BAD_LENGTH, request->length);
    return;
  }
  length = request->length - INPUT_FIELDS_BYTES;
  offset = le_get_u32(request->payload + INPUT_AT_OFFSET);
  if (offset > MODEL_INPUT_BYTES || length > MODEL_INPUT_BYTES - offset) {
    refuse(request, ERROR_OUT_OF_RANGE, offset);
    return;
  }
  memcpy(engine_input() + offset, request->payload + INPUT_FIELDS_BYTES, length);
  server.received = offset + (uint32_t)length;
  server.output_valid = 0;
  put_report(server.payload);
  answer(request, MESSAGE_INPUT_ANSWER, INPUT_ANSWER_FIELDS_BYTES);
}

static void answer_inference(const struct frame *request, uint32_t ticks) {
  const int8_t *output = engine_output();
  const size_t length = MODEL_OUTPUT_BYTES < SERVER_INLINE_OUTPUT ? MODEL_OUTPUT_BYTES : SERVER_INLINE_OUTPUT;
  uint8_t *p = server.payload;
  memcpy(p + INFER_ANSWER_AT_SAMPLE, request->payload + INFER_AT_SAMPLE, 4);
  le_put_u32(p + INFER_ANSWER_AT_TICKS_LOW, ticks);
  le_put_u32(p + INFER_ANSWER_AT_TICKS_HIGH, 0);
  le_put_u32(p + INFER_ANSWER_AT_OUTPUT_CRC, crc32_update(0, output, MODEL_OUTPUT_BYTES));
  memcpy(p + INFER_ANSWER_FIELDS_BYTES, output, length);
  answer(request, MESSAGE_INFER_ANSWER, INFER_ANSWER_FIELDS_BYTES + length);
}

static void do_infer(const struct frame *request) {
  uint32_t crc, start, ticks;
  int status;
  if (request->length != INFER_FIELDS_BYTES) {
    refuse(request, ERROR_BAD_LENGTH, request->length);
    return;
  }
  if (server.received != MODEL_INPUT_BYTES) {
    refuse(request, ERROR_BAD_STATE, server.received);
    return;
  }
  server.received = 0; /* invoking destroys the input, and a wrong one is of no use */
  crc = crc32_update(0, engine_input(), MODEL_INPUT_BYTES);
  if (crc != le_get_u32(request->payload + INFER_AT_INPUT_CRC)) {
    refuse(request, ERROR_BAD_INPUT_CRC, crc);
    return;
  }
  start = port_ticks();
  status = engine_invoke();
  ticks = port_ticks() - start;
  if (status != 0) {
    refuse(request, ERROR_ENGINE, (uint32_t)status);
    return;
  }
  server.inferences++;
  server.output_valid = 1;
  answer_inference(request, ticks);
}

static void do_output(const struct frame *request) {
  uint32_t offset, length;
  if (request->length != OUTPUT_FIELDS_BYTES) {
    refuse(request, ERROR_BAD_LENGTH, request->length);
    return;
  }
  if (!server.output_valid) {
    refuse(request, ERROR_BAD_STATE, 0);
    return;
  }
  offset = le_get_u32(request->payload + OUTPUT_AT_OFFSET);
  length = le_get_u32(request->payload + OUTPUT_AT_LENGTH);
  if (offset > MODEL_OUTPUT_BYTES || length > MODEL_OUTPUT_BYTES - offset ||
      length > SERVER_MAX_PAYLOAD - OUTPUT_ANSWER_FIELDS_BYTES) {
    refuse(request, ERROR_OUT_OF_RANGE, offset);
    return;
  }
  le_put_u32(server.payload + OUTPUT_ANSWER_AT_OFFSET, offset);
  memcpy(server.payload + OUTPUT_ANSWER_FIELDS_BYTES, engine_output() + offset, length);
  answer(request, MESSAGE_OUTPUT_ANSWER, OUTPUT_ANSWER_FIELDS_BYTES + length);
}

static void do_stats(const struct frame *request) {
  uint8_t *p = server.payload;
  le_put_u32(p + STATS_ANSWER_AT_FRAMES_OK, server.decoder.frames_ok);
  le_put_u32(p + STATS_ANSWER_AT_FRAMES_BAD, server.decoder.frames_bad);
  le_put_u32(p + STATS_ANSWER_AT_FRAMES_FOREIGN, server.frames_foreign);
  le_put_u32(p + STATS_ANSWER_AT_DUPLICATES, server.duplicates);
  le_put_u32(p + STATS_ANSWER_AT_NACKS, server.nacks);
  le_put_u32(p + STATS_ANSWER_AT_ERRORS, server.errors);
  le_put_u32(p + STATS_ANSWER_AT_INFERENCES, server.inferences);
  le_put_u32(p + STATS_ANSWER_AT_RX_OVERRUNS, port_rx_overruns());
  le_put_u32(p + STATS_ANSWER_AT_STACK_BYTES, port_stack_bytes());
  le_put_u32(p + STATS_ANSWER_AT_STACK_HIGH_WATER, port_stack_high_water());
  answer(request, MESSAGE_STATS_ANSWER, STATS_ANSWER_FIELDS_BYTES);
}

static void do_echo(const struct frame *request) {
  memcpy(server.payload, request->payload, request->length);
  answer(request, MESSAGE_ECHO_ANSWER, request->length);
}

static void carry_out(const struct frame *request) {
  const int needs_engine = request->type == MESSAGE_INPUT || request->type == MESSAGE_INFER;
  if (needs_engine && server.engine_status != 0) {
    refuse(request, ERROR_ENGINE, (uint32_t)server.engine_status);
    return;
  }
  switch (request->type) {
    case MESSAGE_HELLO: do_hello(request); break;
    case MESSAGE_INPUT: do_input(request); break;
    case MESSAGE_INFER: do_infer(request); break;
    case MESSAGE_OUTPUT: do_output(request); break;
    case MESSAGE_STATS: do_stats(request); break;
    case MESSAGE_ECHO: do_echo(request); break;
    case MESSAGE_RESET:
      answer(request, MESSAGE_RESET_ANSWER, 0);
      port_reset();
      break;
    default: refuse(request, ERROR_UNKNOWN_TYPE, request->type); break;
  }
}

/* A request that was carried out before: its answer was lost, or the link doubled it. */
static void handle_repeated(const struct frame *request) {
  const uint16_t last_seq = (uint16_t)(server.next_seq - 1u);
  server.duplicates++;
  server.gap_reported = 0; /* the host has gone back; the next gap is a new one */
  if (request->seq == last_seq) {
    port_write(server.answer, server.answer_length);
  } else {
    report(request, request->type == MESSAGE_INPUT ? MESSAGE_INPUT_ANSWER : MESSAGE_NACK);
  }
}

static void start_session(const struct frame *hello) {
  server.in_session = 1;
  server.session = hello->session;
  server.next_seq = hello->seq;
  server.gap_reported = 0;
  server.received = 0;
  server.output_valid = 0;
}

static void handle_in_session(const struct frame *request) {
  /* Sequence numbers wrap: half of the circle is past, half is future. */
  const uint16_t ahead = (uint16_t)(request->seq - server.next_seq);
  if (ahead >= 0x8000u) {
    handle_repeated(request);
  } else if (ahead > 0) {
    if (!server.gap_reported) {
      nack(request);
    }
  } else if (request->type == MESSAGE_INPUT && !input_continues(request)) {
    nack(request);
  } else {
    server.next_seq++;
    server.gap_reported = 0;
    carry_out(request);
  }
}

static void handle(const struct frame *frame) {
  const int ours = server.in_session && frame->session == server.session;
  server.damage_nacks = 0;
  if ((frame->type & 0x80u) != 0) {
    /* What a device sends: our own words on a looped line. An answer would go round for ever. */
    server.frames_foreign++;
  } else if (frame->version != PROTOCOL_VERSION) {
    refuse_foreign(frame, ERROR_BAD_VERSION, PROTOCOL_VERSION);
  } else if (ours) {
    handle_in_session(frame);
  } else if (frame->type == MESSAGE_HELLO) {
    start_session(frame);
    handle_in_session(frame);
  } else {
    refuse_foreign(frame, ERROR_NO_SESSION, 0);
  }
}

void server_init(int engine_status) {
  uint8_t payload[BOOT_FIELDS_BYTES] = {0};
  memset(&server, 0, sizeof server);
  frame_decoder_init(&server.decoder);
  server.engine_status = engine_status;
  payload[BOOT_AT_RESET_CAUSE] = (uint8_t)port_reset_cause();
  put_fault(payload + BOOT_AT_FAULT_PC, payload + BOOT_AT_FAULT_LR, payload + BOOT_AT_FAULT_CFSR,
            payload + BOOT_AT_FAULT_HFSR);
  send_unkept(MESSAGE_BOOT, 0, 0, payload, sizeof payload);
}

void server_poll(void) {
  uint8_t bytes[64];
  const size_t length = port_read(bytes, sizeof bytes);
  struct frame frame;
  if (length == 0) {
    port_wait();
    return;
  }
  for (size_t i = 0; i < length; ++i) {
    switch (frame_decoder_push(&server.decoder, bytes[i], &frame)) {
      case FRAME_GOOD: handle(&frame); break;
      case FRAME_BAD: handle_damage(); break;
      case FRAME_NONE: break;
    }
  }
}
