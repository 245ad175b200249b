/* SPDX-License-Identifier: Apache-2.0 */
/* engine.h over the generated model: nothing to prepare, nothing that can fail. */
#include "engine.h"

#include "aot_model.h"

int engine_init(void) { return ENGINE_READY; }

int engine_init_within(uint32_t bytes) {
  (void)bytes;
  return ENGINE_ARENA_IS_FIXED;
}

int8_t *engine_input(void) { return aot_model_input(); }

int engine_invoke(void) {
  aot_model_invoke();
  return 0;
}

const int8_t *engine_output(void) { return aot_model_output(); }

uint32_t engine_arena_bytes(void) { return AOT_MODEL_ARENA_BYTES; }

uint32_t engine_arena_used(void) { return AOT_MODEL_ARENA_BYTES; }
