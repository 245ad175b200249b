/* SPDX-License-Identifier: Apache-2.0 */
/* The serial port of the protocol: receive ring that an interrupt fills (rx_ring.c), and polled transmit
 * (uart_<kind>.c of the chip). */
#ifndef UART_H
#define UART_H

#include <stddef.h>
#include <stdint.h>

/* Sets up pins, bit rate and receive interrupt. `bus_hz` is the clock that the UART divides to `baud`. */
void uart_init(uint32_t bus_hz, uint32_t baud);

size_t uart_read(uint8_t *dst, size_t max); /* copies what waits, at most `max` bytes; never blocks */
int uart_has_data(void);                    /* 1 if uart_read() would give a byte */
void uart_write(const uint8_t *src, size_t length); /* returns when the last byte is in the UART */
void uart_flush(void);        /* returns when the last bit has left the pin, or after a bounded wait */
uint32_t uart_overruns(void); /* bytes lost since start: ring full, or interrupt served too late */

void uart_interrupt(void); /* entry of the vector table */

#endif
