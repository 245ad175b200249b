/* SPDX-License-Identifier: Apache-2.0 */
#include "server_hello.h"

#include <string.h>

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
REQUIRE(board_id_fits_in_hello, sizeof BOARD_ID - 1u <= HELLO_ANSWER_BOARD_ID_BYTES);
REQUIRE(engine_fits_in_hello, sizeof ENGINE_NAME - 1u <= HELLO_ANSWER_ENGINE_BYTES);
REQUIRE(input_rank_fits_in_hello, MODEL_INPUT_RANK <= PROTOCOL_MAX_RANK);
REQUIRE(output_rank_fits_in_hello, MODEL_OUTPUT_RANK <= PROTOCOL_MAX_RANK);

static const uint8_t model_sha256[HELLO_ANSWER_MODEL_SHA256_BYTES] = MODEL_SHA256;
static const uint8_t build_id[HELLO_ANSWER_BUILD_ID_BYTES] = BUILD_ID;
static const uint32_t input_shape[MODEL_INPUT_RANK] = MODEL_INPUT_SHAPE;
static const uint32_t output_shape[MODEL_OUTPUT_RANK] = MODEL_OUTPUT_SHAPE;

void hello_put_fault(uint8_t *pc, uint8_t *lr, uint8_t *cfsr, uint8_t *hfsr) {
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

size_t hello_answer(uint8_t *payload, int engine_status) {
  uint8_t *const p = payload;
  memset(p, 0, HELLO_ANSWER_FIELDS_BYTES);
  put_model(p);
  le_put_u32(p + HELLO_ANSWER_AT_ARENA_BYTES, engine_arena_bytes());
  le_put_u32(p + HELLO_ANSWER_AT_ARENA_USED, engine_arena_used());
  le_put_u32(p + HELLO_ANSWER_AT_ENGINE_STATUS, (uint32_t)engine_status);
  p[HELLO_ANSWER_AT_TICK_SOURCE] = (uint8_t)port_tick_source();
  le_put_u32(p + HELLO_ANSWER_AT_TICK_HZ, port_tick_hz());
  le_put_u32(p + HELLO_ANSWER_AT_CORE_HZ, port_core_hz());
  p[HELLO_ANSWER_AT_RESET_CAUSE] = (uint8_t)port_reset_cause();
  hello_put_fault(p + HELLO_ANSWER_AT_FAULT_PC, p + HELLO_ANSWER_AT_FAULT_LR,
                  p + HELLO_ANSWER_AT_FAULT_CFSR, p + HELLO_ANSWER_AT_FAULT_HFSR);
  le_put_u32(p + HELLO_ANSWER_AT_RX_BUFFER_BYTES, port_rx_buffer_bytes());
  le_put_u16(p + HELLO_ANSWER_AT_MAX_PAYLOAD, SERVER_MAX_PAYLOAD);
  le_put_u16(p + HELLO_ANSWER_AT_CREDIT, credit());
  le_put_u32(p + HELLO_ANSWER_AT_FEATURES, FEATURE_PACKED_INPUT);
  return HELLO_ANSWER_FIELDS_BYTES;
}

size_t stats_answer(uint8_t *payload, const struct server_counters *counters, uint32_t inferences) {
  uint8_t *const p = payload;
  le_put_u32(p + STATS_ANSWER_AT_FRAMES_OK, counters->frames_ok);
  le_put_u32(p + STATS_ANSWER_AT_FRAMES_BAD, counters->frames_bad);
  le_put_u32(p + STATS_ANSWER_AT_FRAMES_FOREIGN, counters->frames_foreign);
  le_put_u32(p + STATS_ANSWER_AT_DUPLICATES, counters->duplicates);
  le_put_u32(p + STATS_ANSWER_AT_NACKS, counters->nacks);
  le_put_u32(p + STATS_ANSWER_AT_ERRORS, counters->errors);
  le_put_u32(p + STATS_ANSWER_AT_INFERENCES, inferences);
  le_put_u32(p + STATS_ANSWER_AT_RX_OVERRUNS, port_rx_overruns());
  le_put_u32(p + STATS_ANSWER_AT_STACK_BYTES, port_stack_bytes());
  le_put_u32(p + STATS_ANSWER_AT_STACK_HIGH_WATER, port_stack_high_water());
  return STATS_ANSWER_FIELDS_BYTES;
}
