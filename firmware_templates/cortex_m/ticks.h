/* SPDX-License-Identifier: Apache-2.0 */
/* A free-running 32-bit counter, from the first source that is found to count. */
#ifndef TICKS_H
#define TICKS_H

#include <stdint.h>

#include "port.h"

/* A timer of the chip, for cores whose own cycle counter does not count. */
struct ticks_timer {
  enum port_tick_source source;
  void (*start)(void);
  volatile uint32_t *counter; /* 32 bits, counts up */
  uint32_t hz;                /* 0 if unknown */
};

/* Looks for a counter in this order: DWT, `timer`, SysTick. `core_hz` is 0 if unknown, `timer` NULL if the
 * chip has none. */
void ticks_init(uint32_t core_hz, const struct ticks_timer *timer);

uint32_t ticks_now(void); /* wraps at 2^32 */
enum port_tick_source ticks_source(void);
uint32_t ticks_hz(void); /* 0 if unknown */

void ticks_systick_interrupt(void); /* entry of the vector table */

#endif
