/* SPDX-License-Identifier: Apache-2.0 */
/* Waits for ready flags that end although the flag never comes. */
#ifndef POLL_H
#define POLL_H

#include <stdint.h>

/* Turns of a polling loop. The slowest step, PLL lock, takes at most 0.3 ms: under 20,000 cycles of the fastest
 * reset clock (64 MHz), and a turn takes several. */
#define MAX_POLLS 50000u

/* Polls a register until its masked bits have a value; returns whether they do. */
static inline int wait_until(volatile uint32_t *reg, uint32_t mask, uint32_t value) {
  for (uint32_t polls = 0; polls < MAX_POLLS; polls++) {
    if ((*reg & mask) == value) {
      return 1;
    }
  }
  return 0;
}

#endif
