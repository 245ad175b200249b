/* SPDX-License-Identifier: Apache-2.0 */
/* The firmware's one task: answers the host's requests on the serial port (mcu_ser/verify/protocol.py).
 *
 * Every request carries a session and a sequence number. A request is carried out once, in order; a repeated
 * one is answered again without being carried out; one behind a gap gets a NACK. */
#ifndef MCU_SER_SERVER_H
#define MCU_SER_SERVER_H

#ifdef __cplusplus
extern "C" {
#endif

/* Announces the start to the host. `engine_status` is what engine_init() returned; requests that need the
 * engine are refused when it is not 0. */
void server_init(int engine_status);

/* Handles the bytes that have arrived, or sleeps until some do. Call it forever. */
void server_poll(void);

#ifdef __cplusplus
}
#endif
#endif
