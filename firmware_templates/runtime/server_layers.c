/* SPDX-License-Identifier: Apache-2.0 */
#include "server_layers.h"

#include <stddef.h>
#include <string.h>

#include "crc32.h"
#include "engine.h"
#include "layer_trace.h"
#include "le_bytes.h"
#include "model_info.h"
#include "port.h"
#include "server_config.h"

static struct {
  /* While LAYERS runs the model; `records` is NULL at any other time. */
  uint8_t *records; /* of the layers from `first` to `last`, in the answer */
  uint32_t first, last;
  uint32_t missing; /* records, because layers need not run in the order of their indices */
  uint32_t start;   /* ticks at the start of the layer that runs */
  uint8_t over;     /* none is missing */

  /* What TENSOR reads: NULL, or the output of `layer`, still where the layer has left it. */
  const int8_t *tensor;
  uint32_t layer, tensor_bytes;
} trace;

void layer_trace_before(void) { trace.start = port_ticks(); }

void layer_trace_after(uint32_t index, const int8_t *data, uint32_t bytes) {
  const uint32_t ticks = port_ticks() - trace.start;
  if (trace.records == NULL || trace.over) {
    return;
  }
  if (index >= trace.first && index <= trace.last) {
    uint8_t *const record = trace.records + (size_t)(index - trace.first) * LAYER_FIELDS_BYTES;
    le_put_u32(record + LAYER_AT_CRC, crc32_update(0, data, bytes));
    le_put_u32(record + LAYER_AT_BYTES, bytes);
    le_put_u32(record + LAYER_AT_TICKS, ticks);
    trace.missing--;
    if (trace.missing == 0) {
      trace.over = 1;
      trace.tensor = data;
      trace.tensor_bytes = bytes;
      trace.layer = index;
    }
  }
  trace.start = port_ticks(); /* the time of the CRC is nobody's */
}

int layer_trace_is_over(void) { return trace.records != NULL && trace.over; }

void layers_forget(void) { trace.tensor = NULL; }

/* Runs the model until the layers from `first` to `last` have run, with records of these. Returns an
 * engine_status. */
static int run_traced(uint8_t *records, uint32_t first, uint32_t last) {
  int status;
  trace.records = records;
  trace.first = first;
  trace.last = last;
  trace.missing = last - first + 1u;
  trace.over = 0;
  layer_trace_before();
  status = engine_invoke();
  trace.records = NULL;
  /* An engine that never came to the layer has another model than model_info.h. */
  return status == ENGINE_READY && !trace.over ? ENGINE_INVOKE_FAILED : status;
}

int layers_check(const struct frame *request, uint32_t *detail) {
  const size_t most = (SERVER_MAX_PAYLOAD - LAYERS_ANSWER_FIELDS_BYTES) / LAYER_FIELDS_BYTES;
  uint32_t first, last;
  if (request->length != LAYERS_FIELDS_BYTES) {
    *detail = request->length;
    return ERROR_BAD_LENGTH;
  }
  first = le_get_u32(request->payload + LAYERS_AT_FIRST);
  last = le_get_u32(request->payload + LAYERS_AT_LAST);
  if (last >= MODEL_LAYERS || first > last || last - first >= most) {
    *detail = last;
    return ERROR_OUT_OF_RANGE;
  }
  return 0;
}

int layers_run(const struct frame *request, uint8_t *payload, size_t *length, uint32_t *detail) {
  const uint32_t first = le_get_u32(request->payload + LAYERS_AT_FIRST);
  const uint32_t last = le_get_u32(request->payload + LAYERS_AT_LAST);
  const size_t records_bytes = (size_t)(last - first + 1u) * LAYER_FIELDS_BYTES;
  int status;
  memset(payload, 0, LAYERS_ANSWER_FIELDS_BYTES + records_bytes);
  status = run_traced(payload + LAYERS_ANSWER_FIELDS_BYTES, first, last);
  if (status != ENGINE_READY) {
    layers_forget();
    *detail = (uint32_t)status;
    return ERROR_ENGINE;
  }
  memcpy(payload + LAYERS_ANSWER_AT_SAMPLE, request->payload + LAYERS_AT_SAMPLE, 4);
  le_put_u32(payload + LAYERS_ANSWER_AT_LAYERS, MODEL_LAYERS);
  *length = LAYERS_ANSWER_FIELDS_BYTES + records_bytes;
  return 0;
}

int layers_read(const struct frame *request, uint8_t *payload, size_t *length, uint32_t *detail) {
  uint32_t layer, offset, count;
  if (request->length != TENSOR_FIELDS_BYTES) {
    *detail = request->length;
    return ERROR_BAD_LENGTH;
  }
  layer = le_get_u32(request->payload + TENSOR_AT_LAYER);
  if (trace.tensor == NULL || trace.layer != layer) {
    *detail = layer;
    return ERROR_BAD_STATE;
  }
  offset = le_get_u32(request->payload + TENSOR_AT_OFFSET);
  count = le_get_u32(request->payload + TENSOR_AT_LENGTH);
  if (offset > trace.tensor_bytes || count > trace.tensor_bytes - offset ||
      count > SERVER_MAX_PAYLOAD - TENSOR_ANSWER_FIELDS_BYTES) {
    *detail = offset;
    return ERROR_OUT_OF_RANGE;
  }
  le_put_u32(payload + TENSOR_ANSWER_AT_LAYER, layer);
  le_put_u32(payload + TENSOR_ANSWER_AT_OFFSET, offset);
  memcpy(payload + TENSOR_ANSWER_FIELDS_BYTES, trace.tensor + offset, count);
  *length = TENSOR_ANSWER_FIELDS_BYTES + count;
  return 0;
}
