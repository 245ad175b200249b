/* SPDX-License-Identifier: Apache-2.0 */
/* UART with SR and DR registers (STM32F1, F2, F4). Source: RM0090, chapter USART. */
#include "board_config.h"
#include "rx_ring.h"
#include "stm32_registers.h"
#include "uart.h"
#include "uart_pins.h"

#define USART_SR REG32(BOARD_UART_BASE + 0x00u)
#define USART_SR_ORE (1u << 3)
#define USART_SR_RXNE (1u << 5)
#define USART_SR_TC (1u << 6)
#define USART_SR_TXE (1u << 7)
#define USART_DR REG32(BOARD_UART_BASE + 0x04u)
#define USART_BRR REG32(BOARD_UART_BASE + 0x08u)
#define USART_CR1 REG32(BOARD_UART_BASE + 0x0Cu)
#define USART_CR1_RE (1u << 2)
#define USART_CR1_TE (1u << 3)
#define USART_CR1_RXNEIE (1u << 5)
#define USART_CR1_UE (1u << 13)
#define USART_CR2 REG32(BOARD_UART_BASE + 0x10u)
#define USART_CR3 REG32(BOARD_UART_BASE + 0x14u)

/* The last byte takes ten bit times: at 9600 baud and 216 MHz, 225,000 cycles. */
#define MAX_FLUSH_POLLS 250000u

void uart_init(uint32_t bus_hz, uint32_t baud) {
  uart_pins_init();
  /* A boot loader may have left it on, in another frame format, or with DMA or flow control; a rate is taken
   * only while it is off. */
  USART_CR1 = 0;
  USART_CR2 = 0;
  USART_CR3 = 0;
  USART_BRR = (bus_hz + baud / 2u) / baud;
  USART_CR1 = USART_CR1_UE | USART_CR1_TE | USART_CR1_RE | USART_CR1_RXNEIE;
  NVIC_ISER(BOARD_UART_IRQ / 32u) = 1u << BOARD_UART_IRQ % 32u;
}

void uart_interrupt(void) {
  const uint32_t status = USART_SR;
  if ((status & (USART_SR_RXNE | USART_SR_ORE)) == 0u) {
    return;
  }
  const uint8_t byte = (uint8_t)USART_DR; /* reading SR, then DR, also clears ORE */
  if (status & USART_SR_ORE) {
    rx_ring_count_loss(); /* the byte in DR is good; the one behind it is lost */
  }
  if (status & USART_SR_RXNE) {
    rx_ring_put(byte);
  }
}

void uart_write(const uint8_t *src, size_t length) {
  for (size_t i = 0; i < length; i++) {
    while ((USART_SR & USART_SR_TXE) == 0u) {
      /* No flow control: with its clock on, the shift register always empties. */
    }
    USART_DR = src[i];
  }
}

void uart_flush(void) {
  for (uint32_t polls = 0; polls < MAX_FLUSH_POLLS && (USART_SR & USART_SR_TC) == 0u; polls++) {
  }
}
