/* SPDX-License-Identifier: Apache-2.0 */
/* An engine for protocol tests. Output byte i is a hash of the input, seeded with i.
 * An input that starts with '!' and a letter makes it misbehave, but not with ENGINE_ALWAYS_OBEYS.
 * With ENGINE_INVOKE_STATUS it always fails with that.
 * With ENGINE_NEEDS_ARENA it cannot start in a smaller arena than that, and restarts the device below
 * ENGINE_RESETS_BELOW; without, its arena is fixed. */
#include "engine.h"
#include "model_info.h"
#include "port.h"

#ifdef MODEL_LAYERS
#include "layer_trace.h"
#endif

#ifndef ENGINE_INIT_STATUS
#define ENGINE_INIT_STATUS 0
#endif

static int8_t input[MODEL_INPUT_BYTES];
static int8_t output[MODEL_OUTPUT_BYTES];

static uint32_t arena_used = 4000;

int engine_init(void) { return ENGINE_INIT_STATUS; }

int engine_init_within(uint32_t bytes) {
#ifdef ENGINE_NEEDS_ARENA
#ifdef ENGINE_RESETS_BELOW
  if (bytes < ENGINE_RESETS_BELOW) {
    port_reset();
  }
#endif
  arena_used = bytes < ENGINE_NEEDS_ARENA ? 0 : ENGINE_NEEDS_ARENA;
  return arena_used == 0 ? ENGINE_NOT_ALLOCATED : ENGINE_READY;
#else
  (void)bytes;
  return ENGINE_ARENA_IS_FIXED;
#endif
}

int8_t *engine_input(void) { return input; }

#ifdef MODEL_LAYERS
/* Layer l gives 1000 / (l + 1) + 1 bytes of its own; like those of a model, each overwrites the one before.
 * With ENGINE_HIDES_LAYERS the engine runs fewer layers than model_info.h has. */
#ifndef ENGINE_HIDES_LAYERS
#define ENGINE_HIDES_LAYERS 0u
#endif
static int8_t tensor[1001];

static void run_layers(void) {
  for (uint32_t layer = 0; layer + ENGINE_HIDES_LAYERS < MODEL_LAYERS; ++layer) {
    const uint32_t bytes = 1000u / (layer + 1u) + 1u;
    for (uint32_t i = 0; i < bytes; ++i) {
      tensor[i] = (int8_t)(uint8_t)((uint8_t)input[i % MODEL_INPUT_BYTES] * (layer + 1u) + i);
    }
    AOT_AFTER_LAYER(layer, tensor, bytes);
  }
}
#endif

static void compute(void) {
  for (size_t i = 0; i < MODEL_OUTPUT_BYTES; ++i) {
    uint32_t hash = (uint32_t)i;
    for (size_t k = 0; k < MODEL_INPUT_BYTES; ++k) {
      hash = hash * 31u + (uint8_t)input[k];
    }
    output[i] = (int8_t)(uint8_t)(hash >> 24);
  }
}

int engine_invoke(void) {
#ifdef ENGINE_INVOKE_STATUS
  return ENGINE_INVOKE_STATUS;
#endif
#ifndef ENGINE_ALWAYS_OBEYS
  if (input[0] == '!') {
    switch (input[1]) {
      case 'c': __builtin_trap();
      case 'h': for (;;) { }
      case 'r': port_reset(); break;
      case 'f': return -7;
      default: break;
    }
  }
#endif
#ifdef MODEL_LAYERS
  run_layers();
#endif
  compute();
  for (size_t k = 0; k < MODEL_INPUT_BYTES; ++k) {
    input[k] = 0x55; /* the interface allows an engine to destroy its input */
  }
  return 0;
}

const int8_t *engine_output(void) { return output; }

uint32_t engine_arena_bytes(void) { return 4096; }

uint32_t engine_arena_used(void) { return arena_used; }
