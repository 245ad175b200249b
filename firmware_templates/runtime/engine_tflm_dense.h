/* SPDX-License-Identifier: Apache-2.0 */
/* FULLY_CONNECTED with the multiplier that the host computes.
 *
 * A layer with one weight scale is rescaled by input scale * weight scale / output scale. TFLite-Micro multiplied
 * the first two in binary32 until summer 2026 (GetQuantizedConvolutionMultipler in kernel_util.cc) and does so in
 * binary64 since then, as the interpreter does that the host compares with. The last bits of the multiplier
 * differ, and some outputs by one. So the multiplier is computed again when the library has prepared a layer. */
#ifndef MCU_SER_ENGINE_TFLM_DENSE_H
#define MCU_SER_ENGINE_TFLM_DENSE_H

#include "op_resolver.h"
#include "tensorflow/lite/kernels/internal/quantization_util.h"
#include "tensorflow/lite/micro/kernels/fully_connected.h"
#include "tensorflow/lite/micro/kernels/kernel_util.h"
#include "tensorflow/lite/micro/micro_context.h"

namespace mcu_ser {

/* What was in tflite is in tflite::micro in libraries since autumn 2026. */
using namespace tflite;
using namespace tflite::micro;

using DenseRegistration = decltype(Register_FULLY_CONNECTED());

/* The library's own preparation of the operator. */
static decltype(DenseRegistration::prepare) prepare_of_library;

/* Replaces the multiplier. What stands there must be one of the two: else this library keeps it elsewhere. */
static inline TfLiteStatus CorrectMultiplier(float input, float weights, float output,
                                             OpDataFullyConnected *data) {
  int32_t multiplier;
  int shift;
  QuantizeMultiplier(static_cast<double>(input * weights) / static_cast<double>(output), &multiplier, &shift);
  const bool is_old = data->output_multiplier == multiplier && data->output_shift == shift;
  QuantizeMultiplier(static_cast<double>(input) * static_cast<double>(weights) / static_cast<double>(output),
                     &multiplier, &shift);
  const bool is_new = data->output_multiplier == multiplier && data->output_shift == shift;
  if (!is_old && !is_new) {
    return kTfLiteError;
  }
  data->output_multiplier = multiplier;
  data->output_shift = shift;
  return kTfLiteOk;
}

static inline bool HasOneScale(const TfLiteTensor *tensor) {
  const auto *const quantization = static_cast<const TfLiteAffineQuantization *>(tensor->quantization.params);
  return quantization == nullptr || quantization->scale == nullptr || quantization->scale->size == 1;
}

static inline TfLiteStatus PrepareDense(TfLiteContext *context, TfLiteNode *node) {
  TfLiteStatus status = prepare_of_library(context, node);
  if (status != kTfLiteOk) {
    return status;
  }
  MicroContext *const micro_context = GetMicroContext(context);
  TfLiteTensor *const input = micro_context->AllocateTempInputTensor(node, 0);
  TfLiteTensor *const weights = micro_context->AllocateTempInputTensor(node, 1);
  TfLiteTensor *const output = micro_context->AllocateTempOutputTensor(node, 0);
  if (input == nullptr || weights == nullptr || output == nullptr) {
    return kTfLiteError; /* the arena is full */
  }
  if (HasOneScale(weights)) {
    /* Every kernel of the library, CMSIS-NN's too, has these data first among its own. */
    status = CorrectMultiplier(input->params.scale, weights->params.scale, output->params.scale,
                               static_cast<OpDataFullyConnected *>(node->user_data));
  }
  micro_context->DeallocateTempTfLiteTensor(output);
  micro_context->DeallocateTempTfLiteTensor(weights);
  micro_context->DeallocateTempTfLiteTensor(input);
  return status;
}

/* The operators of the model, FULLY_CONNECTED as above. */
class EngineOpResolver : public ModelOpResolver {
 public:
  using ModelOpResolver::FindOp;

  const DenseRegistration *FindOp(BuiltinOperator op) const override {
    static DenseRegistration dense;
    const DenseRegistration *const found = ModelOpResolver::FindOp(op);
    if (op != BuiltinOperator_FULLY_CONNECTED || found == nullptr) {
      return found;
    }
    prepare_of_library = found->prepare;
    dense = *found;
    dense.prepare = PrepareDense;
    return &dense;
  }

 private:
  TF_LITE_REMOVE_VIRTUAL_DELETE
};

}  // namespace mcu_ser

#endif
