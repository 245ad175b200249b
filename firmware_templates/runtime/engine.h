/* SPDX-License-Identifier: Apache-2.0 */
/* What the server needs of an inference engine: one model, one input buffer, one output buffer.
 * The sizes are those of model_info.h. All calls are from the main loop, none from an interrupt. */
#ifndef MCU_SER_ENGINE_H
#define MCU_SER_ENGINE_H

#include <stddef.h>
#include <stdint.h>

#include "protocol_messages.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Prepares the model. Returns 0 or the `enum engine_status` that says why it cannot run; HELLO reports it. */
int engine_init(void);

/* Prepares the model anew with only the first `bytes` of its arena, at most engine_arena_bytes(), to find out
 * how few will do. Returns what engine_init() returns; after a failure the engine cannot be used until another
 * call succeeds. ENGINE_ARENA_IS_FIXED: the arena was planned, nothing has changed. */
int engine_init_within(uint32_t bytes);

/* Input buffer, MODEL_INPUT_BYTES long. Its content is valid until engine_invoke(). */
int8_t *engine_input(void);

/* Runs the model on the input buffer; the input buffer's content is lost. Returns 0 on success. */
int engine_invoke(void);

/* Output buffer, MODEL_OUTPUT_BYTES long; valid after engine_invoke() until the input is next written. */
const int8_t *engine_output(void);

/* Bytes of the activation arena, and how many of them the model uses. */
uint32_t engine_arena_bytes(void);
uint32_t engine_arena_used(void);

#ifdef __cplusplus
}
#endif
#endif
