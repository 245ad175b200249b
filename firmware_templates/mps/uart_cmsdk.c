/* SPDX-License-Identifier: Apache-2.0 */
/* UART of the Cortex-M System Design Kit. Source: CMSDK Technical Reference Manual (DDI 0479), section 4.3. */
#include "board_config.h"
#include "cortex_m.h"
#include "rx_ring.h"
#include "uart.h"

#define UART_DATA REG32(BOARD_UART_BASE + 0x00u)
#define UART_STATE REG32(BOARD_UART_BASE + 0x04u)
#define UART_STATE_TX_FULL (1u << 0)
#define UART_STATE_RX_FULL (1u << 1)
#define UART_STATE_RX_OVERRUN (1u << 3)
#define UART_CTRL REG32(BOARD_UART_BASE + 0x08u)
#define UART_CTRL_TX_ENABLE (1u << 0)
#define UART_CTRL_RX_ENABLE (1u << 1)
#define UART_CTRL_RX_INTERRUPT (1u << 3)
#define UART_INTCLEAR REG32(BOARD_UART_BASE + 0x0Cu)
#define UART_INTCLEAR_RX (1u << 1)
#define UART_BAUDDIV REG32(BOARD_UART_BASE + 0x10u)

void uart_init(uint32_t bus_hz, uint32_t baud) {
  UART_BAUDDIV = (bus_hz + baud / 2u) / baud; /* at least 16 */
  UART_CTRL = UART_CTRL_TX_ENABLE | UART_CTRL_RX_ENABLE | UART_CTRL_RX_INTERRUPT;
  NVIC_ISER(BOARD_UART_IRQ / 32u) = 1u << BOARD_UART_IRQ % 32u;
}

/* The interrupt is cleared before the byte is read, so that one which comes in between raises it again. */
void uart_interrupt(void) {
  const uint32_t state = UART_STATE;
  UART_INTCLEAR = UART_INTCLEAR_RX;
  if (state & UART_STATE_RX_OVERRUN) {
    UART_STATE = UART_STATE_RX_OVERRUN;
    rx_ring_count_loss();
  }
  if (state & UART_STATE_RX_FULL) {
    rx_ring_put((uint8_t)UART_DATA);
  }
}

void uart_write(const uint8_t *src, size_t length) {
  for (size_t i = 0; i < length; i++) {
    while (UART_STATE & UART_STATE_TX_FULL) {
      /* No flow control: the buffer always empties. */
    }
    UART_DATA = src[i];
  }
}

/* The UART says when its one-byte buffer is free, not when the last bit has left. The bit time is far below
 * what the host takes to notice a restart. */
#define MAX_FLUSH_POLLS 100000u

void uart_flush(void) {
  for (uint32_t polls = 0; polls < MAX_FLUSH_POLLS && (UART_STATE & UART_STATE_TX_FULL) != 0u; polls++) {
  }
}
