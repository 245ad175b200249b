/* SPDX-License-Identifier: Apache-2.0 */
/* Source: RM0090, chapter GPIO; the registers are the same in all families with MODER and AFR. */
#include "uart_pins.h"

#include "board_config.h"
#include "stm32_registers.h"

static void pin_init(uint32_t gpio, uint32_t pin, uint32_t function) {
  const uint32_t nibble = 4u * (pin % 8u);
  GPIO_AFR(gpio, pin) = (GPIO_AFR(gpio, pin) & ~(0xFu << nibble)) | function << nibble;
  /* An open receive line must idle high, or noise reads as bytes. */
  GPIO_PUPDR(gpio) = (GPIO_PUPDR(gpio) & ~(3u << 2u * pin)) | GPIO_PUPDR_UP << 2u * pin;
  GPIO_MODER(gpio) = (GPIO_MODER(gpio) & ~(3u << 2u * pin)) | GPIO_MODER_ALTERNATE << 2u * pin;
}

static void enable_clock(uint32_t reg, uint32_t bit) {
  REG32(reg) |= 1u << bit;
  (void)REG32(reg); /* the clock needs two bus cycles before the peripheral answers */
}

void uart_pins_init(void) {
#ifdef BOARD_IO_SUPPLY_REGISTER
  /* The pins have a supply of their own, and stay isolated until they are told that it is there (RM0432,
   * "independent I/O supply rail"). */
  REG32(BOARD_IO_SUPPLY_REGISTER) |= 1u << BOARD_IO_SUPPLY_BIT;
#endif
  enable_clock(BOARD_GPIO_ENABLE_REGISTER, BOARD_GPIO_ENABLE_BIT);
  enable_clock(BOARD_UART_ENABLE_REGISTER, BOARD_UART_ENABLE_BIT);
  pin_init(BOARD_TX_GPIO, BOARD_TX_PIN, BOARD_TX_FUNCTION);
  pin_init(BOARD_RX_GPIO, BOARD_RX_PIN, BOARD_RX_FUNCTION);
}
