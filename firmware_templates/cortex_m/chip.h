/* SPDX-License-Identifier: Apache-2.0 */
/* What the port needs of a chip; chip_<platform>.c has it. */
#ifndef CHIP_H
#define CHIP_H

#include <stdint.h>

#include "port.h"

/* Brings up clocks, counter and serial port. Returns the core clock as it really runs, in Hz; 0 if unknown. */
uint32_t chip_start(void);

/* Why the chip was reset, from its flags, which this clears. PORT_RESET_UNKNOWN if none is set. */
enum port_reset_cause chip_reset_cause(void);

#endif
