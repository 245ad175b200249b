/* SPDX-License-Identifier: Apache-2.0 */
/* What the runtime needs of a board with a microphone, beside port.h. Firmware for one defines BOARD_MICROPHONE
 * (model_info.h); a platform implements it as port_microphone_<kind>. */
#ifndef MCU_SER_PORT_MICROPHONE_H
#define MCU_SER_PORT_MICROPHONE_H

#ifdef __cplusplus
extern "C" {
#endif

/* Starts capturing one channel of 16-bit samples at 16 kHz, each block of which an interrupt gives to
 * audio_ring_put(). What the microphone gives before it has settled is left out. Returns 0, or -1 if it does not
 * start. */
int port_microphone_start(void);

/* Returns when no block comes any more. */
void port_microphone_stop(void);

/* Shows a class, 0 or above, on the lights that the board has; -1: none. */
void port_microphone_show(int class_index);

#ifdef __cplusplus
}
#endif
#endif
