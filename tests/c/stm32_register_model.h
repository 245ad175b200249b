/* SPDX-License-Identifier: Apache-2.0 */
/* Takes the place of cortex_m.h when STM32 drivers are compiled for the host: every register access goes to a
 * model of the chip. */
#ifndef CORTEX_M_H
#define CORTEX_M_H

#include <stdint.h>

/* The storage of a register. The model first reacts to what was written since the last access. */
volatile uint32_t *model_register(uint32_t address);

#define REG32(address) (*model_register(address))
#define NVIC_ISER(n) REG32(0xE000E100u + 4u * (n))

#endif
