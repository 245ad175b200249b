/* SPDX-License-Identifier: Apache-2.0 */
/* What the device says of itself: the answers to HELLO and STATS, and the fault that HELLO and BOOT report. */
#ifndef MCU_SER_SERVER_HELLO_H
#define MCU_SER_SERVER_HELLO_H

#include <stddef.h>
#include <stdint.h>

#include "server_requests.h"

/* Writes the answer to HELLO to `payload` (SERVER_MAX_PAYLOAD bytes); returns its length. */
size_t hello_answer(uint8_t *payload, int engine_status);

/* Writes the answer to STATS to `payload`; returns its length. */
size_t stats_answer(uint8_t *payload, const struct server_counters *counters, uint32_t inferences);

/* The fault that ended the previous run, as four words; zeros if there was none. */
void hello_put_fault(uint8_t *pc, uint8_t *lr, uint8_t *cfsr, uint8_t *hfsr);

#endif
