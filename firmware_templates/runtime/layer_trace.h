/* SPDX-License-Identifier: Apache-2.0 */
/* What an engine tells the server after each layer, in firmware that was generated with --layers.
 *
 * Layers are the operators of the .tflite, counted in its order from 0 on; each runs once, and all that it reads
 * from before it, but the order need not be that of the file. The server reads the output of a layer at once,
 * because the next layers may overwrite it, and ends the run when all that it wants have run: then the tensor
 * stays where it is, and no copy of it is needed. An inference that is not traced is not changed. */
#ifndef MCU_SER_LAYER_TRACE_H
#define MCU_SER_LAYER_TRACE_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A layer is about to run: its time counts from here. An engine that does nothing between two layers need not
 * call it, because time counts from the end of layer_trace_after(), too. */
void layer_trace_before(void);

/* Layer `index` has run; `data` are the `bytes` of its output. */
void layer_trace_after(uint32_t index, const int8_t *data, uint32_t bytes);

/* Whether no further layer may run, so that the tensor of the last one is kept. */
int layer_trace_is_over(void);

/* The hook of aot_model.c, in its function that runs the layers. */
#define AOT_AFTER_LAYER(index, data, bytes)      \
  do {                                           \
    layer_trace_after((index), (data), (bytes)); \
    if (layer_trace_is_over()) {                 \
      return;                                    \
    }                                            \
  } while (0)

#ifdef __cplusplus
}
#endif
#endif
