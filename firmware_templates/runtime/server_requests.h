/* SPDX-License-Identifier: Apache-2.0 */
/* What the requests of the host do, apart from how they get here: one function from request to answer.
 * server.c decides which request is carried out, once and in order. */
#ifndef MCU_SER_SERVER_REQUESTS_H
#define MCU_SER_SERVER_REQUESTS_H

#include <stddef.h>
#include <stdint.h>

#include "frame.h"
#include "protocol_messages.h"

/* What server.c counts since the start, for STATS. */
struct server_counters {
  uint32_t frames_ok, frames_bad, frames_foreign, duplicates, nacks, errors;
};

/* Once at the start, with what engine_init() returned. */
void requests_init(int engine_status);

/* A new session: the input is forgotten, and an arena that ARENA has cut is whole again. */
void requests_start_session(void);

/* Carries out a request. Writes the payload of its answer to `payload` (SERVER_MAX_PAYLOAD bytes), sets `type`
 * to that of the answer or to MESSAGE_ERROR, and returns the length of the payload. RESET only answers: the
 * restart is the caller's. */
size_t requests_carry_out(const struct frame *request, const struct server_counters *counters,
                          uint8_t *payload, uint8_t *type);

/* Input bytes that are in place, or samples of AUDIO, from offset 0 on. */
uint32_t requests_received(void);

/* Whether a request is INPUT, INPUT_PACKED or AUDIO. */
int requests_is_input(uint8_t type);

/* Whether such a request continues what is in place, or starts anew. The host may cut what it repeats differently,
 * so an input that is next in the sequence can still begin at another byte than the next. */
int requests_input_continues(const struct frame *request);

/* Payload of ERROR, ERROR_FIELDS_BYTES long. */
void requests_put_refusal(uint8_t *payload, const struct frame *request, enum error_code code,
                          uint32_t detail);

#endif
