/* SPDX-License-Identifier: Apache-2.0 */
/* Clocks and pins of the UART; the same on every family. */
#ifndef UART_PINS_H
#define UART_PINS_H

/* Turns UART and GPIO port on and hands the two pins to the UART. */
void uart_pins_init(void);

#endif
