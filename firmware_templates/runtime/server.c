/* SPDX-License-Identifier: Apache-2.0 */
#include "server.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "frame.h"
#include "le_bytes.h"
#include "model_info.h"
#include "port.h"
#include "protocol_messages.h"
#include "server_config.h"
#include "server_hello.h"
#include "server_requests.h"

#ifdef MODEL_FRONT_END
#include "server_listen.h"
#endif

/* Noise without end must not make the device talk without end. */
#define MAX_DAMAGE_NACKS 16u

static struct {
  struct frame_decoder decoder;

  /* The conversation. A session lasts until another HELLO or a reset. */
  uint8_t in_session;
  uint8_t gap_reported; /* a NACK went out for the present gap */
  uint8_t damage_nacks; /* NACKs for damaged frames since the last good one */
  uint32_t session;
  uint16_t next_seq; /* of the next request to be carried out */

  uint8_t payload[SERVER_MAX_PAYLOAD]; /* of the answer that is being made */
  uint8_t answer[FRAME_WIRE_BYTES(SERVER_MAX_PAYLOAD)]; /* the last one; the host may repeat its request */
  size_t answer_length;

  struct server_counters counters; /* the frames that the decoder counts are copied when they are asked for */
} server;

/* Sends a frame that is not kept: the host repeats its request if this one is lost. */
static void send_unkept(uint8_t type, uint32_t session, uint16_t seq, const uint8_t *payload, size_t length) {
  uint8_t wire[FRAME_WIRE_BYTES(BOOT_FIELDS_BYTES)]; /* BOOT is the longest of them */
  const struct frame frame = {PROTOCOL_VERSION, type, session, seq, (uint16_t)length, payload};
  port_write(wire, frame_encode(wire, &frame));
}

/* Refuses a frame that is in no session of ours, and so has no place in the sequence. */
static void refuse_foreign(const struct frame *request, enum error_code code, uint32_t detail) {
  uint8_t payload[ERROR_FIELDS_BYTES];
  server.counters.frames_foreign++;
  requests_put_refusal(payload, request, code, detail);
  send_unkept(MESSAGE_ERROR, request->session, request->seq, payload, sizeof payload);
}

/* Tells the host where we are: as an answer to a repeated INPUT, or as a NACK. */
static void report(const struct frame *request, uint8_t type) {
  uint8_t payload[NACK_FIELDS_BYTES] = {0};
  le_put_u16(payload + NACK_AT_NEXT_SEQ, server.next_seq);
  le_put_u32(payload + NACK_AT_RECEIVED, requests_received());
  send_unkept(type, request->session, request->seq, payload, sizeof payload);
}

static void nack(const struct frame *request) {
  server.counters.nacks++;
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

/* Carries out a request and keeps the answer: if it is lost, the host repeats the request. */
static void carry_out(const struct frame *request) {
  struct frame answer = {PROTOCOL_VERSION, 0, request->session, request->seq, 0, server.payload};
  server.counters.frames_ok = server.decoder.frames_ok;
  server.counters.frames_bad = server.decoder.frames_bad;
  answer.length = (uint16_t)requests_carry_out(request, &server.counters, server.payload, &answer.type);
  if (answer.type == MESSAGE_ERROR) {
    server.counters.errors++;
  }
  server.answer_length = frame_encode(server.answer, &answer);
  port_write(server.answer, server.answer_length);
  if (answer.type == MESSAGE_RESET_ANSWER) {
    port_reset();
  }
}

/* A request that was carried out before: its answer was lost, or the link doubled it. */
static void handle_repeated(const struct frame *request) {
  const uint16_t last_seq = (uint16_t)(server.next_seq - 1u);
  server.counters.duplicates++;
  server.gap_reported = 0; /* the host has gone back; the next gap is a new one */
  if (request->seq == last_seq) {
    port_write(server.answer, server.answer_length);
  } else {
    report(request, requests_is_input(request->type) ? (uint8_t)(request->type | PROTOCOL_ANSWER) : MESSAGE_NACK);
  }
}

static void start_session(const struct frame *hello) {
  server.in_session = 1;
  server.session = hello->session;
  server.next_seq = hello->seq;
  server.gap_reported = 0;
  requests_start_session();
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
  } else if (requests_is_input(request->type) && !requests_input_continues(request)) {
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
    server.counters.frames_foreign++;
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
  requests_init(engine_status);
  payload[BOOT_AT_RESET_CAUSE] = (uint8_t)port_reset_cause();
  hello_put_fault(payload + BOOT_AT_FAULT_PC, payload + BOOT_AT_FAULT_LR, payload + BOOT_AT_FAULT_CFSR,
                  payload + BOOT_AT_FAULT_HFSR);
  send_unkept(MESSAGE_BOOT, 0, 0, payload, sizeof payload);
}

#ifdef MODEL_FRONT_END
/* Works off what is listened to, a piece of it; returns 0 if there was nothing. */
static int listen_on(void) {
  uint8_t wire[FRAME_WIRE_BYTES(LISTEN_MOST_BYTES)];
  struct frame said = {PROTOCOL_VERSION, 0, server.session, 0, 0, server.payload};
  size_t length = 0;
  const enum listen_work work = listen_poll(server.payload, &length, &said.type);
  if (work == LISTEN_SAYS) {
    said.length = (uint16_t)length;
    port_write(wire, frame_encode(wire, &said));
  }
  return work != LISTEN_NOTHING;
}

static int line_is_held(void) { return listen_holds_the_line(); }
#else
static int listen_on(void) { return 0; }

static int line_is_held(void) { return 0; }
#endif

void server_poll(void) {
  uint8_t bytes[64];
  const size_t length = line_is_held() ? 0 : port_read(bytes, sizeof bytes);
  struct frame frame;
  if (!listen_on() && length == 0) {
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
