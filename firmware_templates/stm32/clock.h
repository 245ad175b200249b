/* SPDX-License-Identifier: Apache-2.0 */
/* Clock tree and reset flags; one clock_<family>.c per family. */
#ifndef CLOCK_H
#define CLOCK_H

#include <stdint.h>

#include "port.h"

/* Clocks as they really run, in Hz. */
struct clocks {
  uint32_t core_hz;
  uint32_t apb1_hz;
  uint32_t apb2_hz;
  uint32_t tim2_hz;
  uint32_t known; /* 0 if the clock controller does not answer (an emulator): the figures are a guess */
};

/* Raises the core to BOARD_CORE_HZ. Every wait is bounded; if a step does not complete, the chip stays at
 * its reset clock and the answer says so. */
struct clocks clock_init(void);

/* Why the chip was reset, from its flags, which this clears. PORT_RESET_UNKNOWN if none is set. */
enum port_reset_cause clock_reset_cause(void);

#endif
