/* SPDX-License-Identifier: Apache-2.0 */
/* The part of port.h that depends on the microcontroller rather than on the Arduino API: ticks, core clock,
 * reset, its cause, and stack. */
#ifndef MCU_SER_MCU_H
#define MCU_SER_MCU_H

/* Starts the counter and takes the cause of the last reset. Called once, by port_init(). */
void mcu_init(void);

#endif
