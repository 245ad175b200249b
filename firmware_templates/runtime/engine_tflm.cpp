/* SPDX-License-Identifier: Apache-2.0 */
/* engine.h over the TFLite-Micro interpreter: model, operators and arena as the generator has chosen them.
 *
 * C++14, because that is what Arduino's compiler is given. Everything is static: no heap, no exceptions, no
 * guarded initialisation, no destructors at exit. Nothing here writes a log. */
#include "engine.h"

#include <string.h>

#include <new>

#if defined(ARDUINO)
#include "tflm_library.h" /* makes the Arduino tools find the library */
#undef abs                /* Arduino.h's macro would break std::abs in the headers below */
#endif
#include "tensorflow/lite/micro/micro_interpreter.h"
#include "tensorflow/lite/schema/schema_generated.h"

#include "engine_tflm_dense.h"
#include "model_data.h"
#include "model_info.h"
#include "placement.h"
#include "tensor_arena.h"
#ifdef MODEL_LAYERS
#include "engine_tflm_layers.h"
#endif

namespace {

/* What was in tflite is in tflite::micro in libraries since autumn 2026. */
using namespace tflite;
using namespace tflite::micro;

/* The allocator, the planner and their like are made in the arena before anything is checked: 200 bytes on a
 * 32-bit core. Less than this would be written to without being there. */
constexpr uint32_t kLeastArenaBytes = 512;

#ifdef MODEL_LAYERS
using OpResolver = mcu_ser::TracingOpResolver;
#else
using OpResolver = mcu_ser::EngineOpResolver;
#endif

alignas(16) ARENA_PLACEMENT uint8_t arena[kTensorArenaSize];

/* Made anew by every engine_init_within(). Neither is ever destroyed: they own nothing but parts of the arena. */
alignas(OpResolver) uint8_t resolver_memory[sizeof(OpResolver)];
alignas(MicroInterpreter) uint8_t interpreter_memory[sizeof(MicroInterpreter)];

MicroInterpreter *interpreter; /* null: the engine is not ready */

/* Whether a tensor is what HELLO says about it. */
bool is_as_said(const TfLiteTensor *tensor, size_t bytes, uint32_t scale_bits, int32_t zero_point) {
  uint32_t bits;
  if (tensor == nullptr || tensor->bytes != bytes) {
    return false;
  }
  if (tensor->type == kTfLiteInt32) {
    return true; /* indices, which have no scale */
  }
  if (tensor->type != kTfLiteInt8) {
    return false;
  }
  memcpy(&bits, &tensor->params.scale, sizeof bits);
  return bits == scale_bits && tensor->params.zero_point == zero_point;
}

int prepare(uint32_t arena_bytes) {
  const Model *const model = GetModel(g_model_data);
  interpreter = nullptr;
  if (model->version() != TFLITE_SCHEMA_VERSION) {
    return ENGINE_WRONG_SCHEMA;
  }
  auto *const resolver = new (resolver_memory) OpResolver();
  if (mcu_ser::RegisterModelOps(*resolver) != kTfLiteOk) {
    return ENGINE_UNKNOWN_OPERATOR;
  }
  if (arena_bytes < kLeastArenaBytes) {
    return ENGINE_NOT_ALLOCATED;
  }
  auto *const made = new (interpreter_memory) MicroInterpreter(model, *resolver, arena, arena_bytes);
  if (made->AllocateTensors() != kTfLiteOk) {
    return ENGINE_NOT_ALLOCATED;
  }
  if (!is_as_said(made->input(0), MODEL_INPUT_BYTES, MODEL_INPUT_SCALE_BITS, MODEL_INPUT_ZERO_POINT) ||
      !is_as_said(made->output(0), MODEL_OUTPUT_BYTES, MODEL_OUTPUT_SCALE_BITS, MODEL_OUTPUT_ZERO_POINT)) {
    return ENGINE_WRONG_TENSORS;
  }
  interpreter = made;
  return ENGINE_READY;
}

}  // namespace

int engine_init(void) { return prepare(kTensorArenaSize); }

int engine_init_within(uint32_t bytes) { return prepare(bytes); }

int8_t *engine_input(void) { return interpreter == nullptr ? nullptr : interpreter->input(0)->data.int8; }

int engine_invoke(void) {
#ifdef MODEL_LAYERS
  mcu_ser::next_layer = 0;
#endif
#ifdef MODEL_STATES
  /* One input is one sequence: recurrent layers start from zero. */
  if (interpreter == nullptr || interpreter->Reset() != kTfLiteOk) {
    return ENGINE_INVOKE_FAILED;
  }
#endif
  if (interpreter == nullptr || interpreter->Invoke() != kTfLiteOk) {
    return ENGINE_INVOKE_FAILED;
  }
  return ENGINE_READY;
}

const int8_t *engine_output(void) {
  return interpreter == nullptr ? nullptr : interpreter->output(0)->data.int8;
}

uint32_t engine_arena_bytes(void) { return kTensorArenaSize; }

uint32_t engine_arena_used(void) {
  return interpreter == nullptr ? 0 : static_cast<uint32_t>(interpreter->arena_used_bytes());
}
