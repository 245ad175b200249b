/* SPDX-License-Identifier: Apache-2.0 */
/* What the server needs of an inference engine: one model, one input buffer, one output buffer.
 * The sizes are those of model_info.h. All calls are from the main loop, none from an interrupt. */
#ifndef MCU_SER_ENGINE_H
#define MCU_SER_ENGINE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Prepares the model. Returns 0, or an engine-specific error code that STATS reports. */
int engine_init(void);

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
