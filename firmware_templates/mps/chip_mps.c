/* SPDX-License-Identifier: Apache-2.0 */
/* chip.h on an FPGA image of Arm's MPS boards: clocks are fixed, and nothing tells why it was reset. */
#include "chip.h"

#include <stddef.h>

#include "board_config.h"
#include "ticks.h"
#include "uart.h"

uint32_t chip_start(void) {
  ticks_init(BOARD_CORE_HZ, NULL);
  uart_init(BOARD_UART_HZ, BOARD_UART_BAUD);
  return BOARD_CORE_HZ;
}

enum port_reset_cause chip_reset_cause(void) { return PORT_RESET_UNKNOWN; }
