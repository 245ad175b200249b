/* SPDX-License-Identifier: Apache-2.0 */
/* The requests LAYERS and TENSOR, in firmware that was generated with --layers.
 *
 * LAYERS runs the model on the input that is in place, answers CRC-32, length and ticks of the layers that it
 * names, and stops behind the last of them. TENSOR then reads that layer's output, in as many pieces as it
 * takes. Nothing is copied but into the answer. */
#ifndef MCU_SER_SERVER_LAYERS_H
#define MCU_SER_SERVER_LAYERS_H

#include <stddef.h>
#include <stdint.h>

#include "frame.h"

/* Each of the three returns 0, or the `enum error_code` with which the request is to be refused, and its detail.
 * Those that answer write at most SERVER_MAX_PAYLOAD bytes to `payload`. */

/* Whether LAYERS can be carried out; reads nothing but the request. */
int layers_check(const struct frame *request, uint32_t *detail);

/* Carries out LAYERS, which layers_check() has passed, on the input that is in place. */
int layers_run(const struct frame *request, uint8_t *payload, size_t *length, uint32_t *detail);

/* Carries out TENSOR. */
int layers_read(const struct frame *request, uint8_t *payload, size_t *length, uint32_t *detail);

/* The arena has been written to: the tensor is no longer that of a layer. */
void layers_forget(void);

#endif
