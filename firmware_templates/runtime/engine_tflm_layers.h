/* SPDX-License-Identifier: Apache-2.0 */
/* The operators of the model, each of which tells the server when it has run (layer_trace.h).
 *
 * The library's profiler interface does not do: a library that was made with BUILD_TYPE=release never calls it,
 * and it is not told of tensors; and an interpreter that keeps all tensors needs RAM for them. So the resolver
 * hands out registrations whose `invoke` is one of ours, which calls the library's. The interpreter runs the
 * operators of a model without control flow in the order of the .tflite: counting the calls gives the index. */
#ifndef MCU_SER_ENGINE_TFLM_LAYERS_H
#define MCU_SER_ENGINE_TFLM_LAYERS_H

#include <stddef.h>
#include <stdint.h>

#include <utility>

#include "engine_tflm_dense.h"
#include "layer_trace.h"

namespace mcu_ser {

using InvokeFunction = decltype(DenseRegistration::invoke);

/* Kinds of operators that a resolver holds. */
template <typename Resolver>
struct KindsOf;
template <unsigned int kinds>
struct KindsOf<MicroMutableOpResolver<kinds>> {
  static constexpr size_t value = kinds;
};
constexpr size_t kKinds = KindsOf<ModelOpResolver>::value;

/* Per kind of operator: the registration that the interpreter gets, and the library's own `invoke`. */
static DenseRegistration traced_registrations[kKinds];
static InvokeFunction library_invokes[kKinds];
static size_t known_kinds;

static uint32_t next_layer;

static inline uint32_t ElementsOf(const TfLiteEvalTensor *tensor) {
  uint32_t elements = 1;
  for (int i = 0; i < tensor->dims->size; ++i) {
    elements *= static_cast<uint32_t>(tensor->dims->data[i]);
  }
  return elements;
}

static inline TfLiteStatus RunTraced(InvokeFunction invoke, TfLiteContext *context, TfLiteNode *node) {
  const uint32_t layer = next_layer++;
  if (layer_trace_is_over()) {
    return kTfLiteOk; /* what does not run leaves the tensors as they are */
  }
  layer_trace_before();
  const TfLiteStatus status = invoke(context, node);
  if (status == kTfLiteOk) {
    /* The generator lets no model through whose layers have another output than one int8 tensor. */
    const TfLiteEvalTensor *const output = GetEvalOutput(context, node, 0);
    layer_trace_after(layer, output->data.int8, ElementsOf(output));
  }
  return status;
}

/* A registration's `invoke` is not told whose it is: each kind has a function of its own. */
template <size_t kind>
TfLiteStatus InvokeKind(TfLiteContext *context, TfLiteNode *node) {
  return RunTraced(library_invokes[kind], context, node);
}

template <size_t... kinds>
InvokeFunction InvokeOfKind(size_t kind, std::index_sequence<kinds...>) {
  static constexpr InvokeFunction all[] = {InvokeKind<kinds>...};
  return all[kind];
}

class TracingOpResolver final : public EngineOpResolver {
 public:
  using EngineOpResolver::FindOp;

  const DenseRegistration *FindOp(BuiltinOperator op) const override {
    const DenseRegistration *const found = EngineOpResolver::FindOp(op);
    size_t kind = 0;
    if (found == nullptr) {
      return nullptr;
    }
    while (kind < known_kinds && traced_registrations[kind].builtin_code != found->builtin_code) {
      ++kind;
    }
    if (kind == kKinds) {
      return nullptr; /* more kinds than the resolver can hold: impossible */
    }
    if (kind == known_kinds) {
      ++known_kinds;
      library_invokes[kind] = found->invoke;
      traced_registrations[kind] = *found;
      traced_registrations[kind].invoke = InvokeOfKind(kind, std::make_index_sequence<kKinds>());
    }
    return &traced_registrations[kind];
  }

 private:
  TF_LITE_REMOVE_VIRTUAL_DELETE
};

}  // namespace mcu_ser

#endif
