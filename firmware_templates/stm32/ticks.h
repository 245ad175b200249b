/* SPDX-License-Identifier: Apache-2.0 */
/* A free-running 32-bit counter, from the first source that is found to count. */
#ifndef TICKS_H
#define TICKS_H

#include <stdint.h>

#include "clock.h"
#include "port.h"

/* Looks for a counter in this order: DWT, TIM2, SysTick. */
void ticks_init(const struct clocks *clocks);

uint32_t ticks_now(void); /* wraps at 2^32 */
enum port_tick_source ticks_source(void);
uint32_t ticks_hz(void); /* 0 if unknown */

void ticks_systick_interrupt(void); /* entry of the vector table */

#endif
