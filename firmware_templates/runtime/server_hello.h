/* SPDX-License-Identifier: Apache-2.0 */
/* What the device says of itself: the answer to HELLO, and the fault that HELLO and BOOT report. */
#ifndef MCU_SER_SERVER_HELLO_H
#define MCU_SER_SERVER_HELLO_H

#include <stddef.h>
#include <stdint.h>

/* Writes the answer to HELLO to `payload` (SERVER_MAX_PAYLOAD bytes); returns its length. */
size_t hello_answer(uint8_t *payload, int engine_status);

/* The fault that ended the previous run, as four words; zeros if there was none. */
void hello_put_fault(uint8_t *pc, uint8_t *lr, uint8_t *cfsr, uint8_t *hfsr);

#endif
