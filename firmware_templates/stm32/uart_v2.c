/* SPDX-License-Identifier: Apache-2.0 */
/* USART or LPUART with ISR, RDR and TDR registers (STM32F7, L4, H7), FIFO off. Source: RM0351, chapters USART
 * and LPUART. */
#include "board_config.h"
#include "rx_ring.h"
#include "stm32_registers.h"
#include "uart.h"
#include "uart_pins.h"

#define USART_CR1 REG32(BOARD_UART_BASE + 0x00u)
#define USART_CR1_UE (1u << 0)
#define USART_CR1_RE (1u << 2)
#define USART_CR1_TE (1u << 3)
#define USART_CR1_RXNEIE (1u << 5)
#define USART_CR2 REG32(BOARD_UART_BASE + 0x04u)
#define USART_CR3 REG32(BOARD_UART_BASE + 0x08u)
#define USART_BRR REG32(BOARD_UART_BASE + 0x0Cu)
#define USART_ISR REG32(BOARD_UART_BASE + 0x1Cu)
#define USART_ISR_ORE (1u << 3)
#define USART_ISR_RXNE (1u << 5)
#define USART_ISR_TC (1u << 6)
#define USART_ISR_TXE (1u << 7)
#define USART_ICR REG32(BOARD_UART_BASE + 0x20u)
#define USART_ICR_ORECF (1u << 3)
#define USART_RDR REG32(BOARD_UART_BASE + 0x24u)
#define USART_TDR REG32(BOARD_UART_BASE + 0x28u)

/* The last byte takes ten bit times: at 9600 baud and 400 MHz, 420,000 cycles. */
#define MAX_FLUSH_POLLS 450000u

/* Clock cycles per bit times the multiplier (256 for an LPUART), rounded. The quotient is split because the
 * product does not fit 32 bits. */
static uint32_t divisor(uint32_t bus_hz, uint32_t baud) {
  const uint32_t rest = bus_hz % baud * BOARD_UART_CLOCK_MULTIPLIER;
  return bus_hz / baud * BOARD_UART_CLOCK_MULTIPLIER + (rest + baud / 2u) / baud;
}

void uart_init(uint32_t bus_hz, uint32_t baud) {
  uart_pins_init();
  /* A boot loader may have left it on, in another frame format, or with DMA or flow control; a rate is taken
   * only while it is off. */
  USART_CR1 = 0;
  USART_CR2 = 0;
  USART_CR3 = 0;
  USART_BRR = divisor(bus_hz, baud);
  USART_CR1 = USART_CR1_UE | USART_CR1_TE | USART_CR1_RE | USART_CR1_RXNEIE;
  NVIC_ISER(BOARD_UART_IRQ / 32u) = 1u << BOARD_UART_IRQ % 32u;
}

void uart_interrupt(void) {
  const uint32_t status = USART_ISR;
  if (status & USART_ISR_ORE) {
    USART_ICR = USART_ICR_ORECF;
    rx_ring_count_loss(); /* the byte in RDR is good; the one behind it is lost */
  }
  if (status & USART_ISR_RXNE) {
    rx_ring_put((uint8_t)USART_RDR); /* reading RDR clears RXNE */
  }
}

void uart_write(const uint8_t *src, size_t length) {
  for (size_t i = 0; i < length; i++) {
    while ((USART_ISR & USART_ISR_TXE) == 0u) {
      /* No flow control: with its clock on, the shift register always empties. */
    }
    USART_TDR = src[i];
  }
}

void uart_flush(void) {
  for (uint32_t polls = 0; polls < MAX_FLUSH_POLLS && (USART_ISR & USART_ISR_TC) == 0u; polls++) {
  }
}
