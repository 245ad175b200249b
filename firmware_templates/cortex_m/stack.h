/* SPDX-License-Identifier: Apache-2.0 */
/* How much of the stack was ever used, found by a pattern written at start-up. */
#ifndef STACK_H
#define STACK_H

#include <stdint.h>

/* Fills the unused part of the stack with the pattern. Called once, first thing after reset. */
void stack_paint(void);

uint32_t stack_bytes(void);      /* size of the stack */
uint32_t stack_high_water(void); /* most bytes ever used since stack_paint() */

#endif
