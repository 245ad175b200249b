/* SPDX-License-Identifier: Apache-2.0 */
/* chip.h on an STM32. */
#include "chip.h"

#include "board_config.h"
#include "clock.h"
#include "stm32_registers.h"
#include "ticks.h"
#include "uart.h"

static void start_tim2(void) {
  TIM2_ENABLE_REGISTER |= TIM2_ENABLE_MASK;
  (void)TIM2_ENABLE_REGISTER; /* the clock needs two bus cycles before the timer answers */
  TIM2_PSC = 0;
  TIM2_ARR = 0xFFFFFFFFu;
  TIM2_EGR = TIM2_EGR_UG; /* loads the prescaler */
  TIM2_CR1 = TIM2_CR1_CEN;
}

uint32_t chip_start(void) {
  const struct clocks clocks = clock_init();
  const struct ticks_timer tim2 = {PORT_TICKS_TIM2, start_tim2, &TIM2_CNT, clocks.known ? clocks.tim2_hz : 0u};
  const uint32_t core_hz = clocks.known ? clocks.core_hz : 0u;

  ticks_init(core_hz, &tim2);
  uart_init(BOARD_UART_APB == 1 ? clocks.apb1_hz : clocks.apb2_hz,
            clocks.core_hz == BOARD_CORE_HZ ? BOARD_UART_BAUD : BOARD_UART_RESET_BAUD);
  return core_hz;
}

enum port_reset_cause chip_reset_cause(void) { return clock_reset_cause(); }
