/* SPDX-License-Identifier: Apache-2.0 */
/* STM32F4 and STM32F7 clock tree: HSI -> PLL -> core. Source: RM0090, RM0390 and RM0410, chapters PWR, RCC and
 * FLASH. */
#include "board_config.h"
#include "clock.h"
#include "poll.h"
#include "stm32_registers.h"

static int run_from_hsi(void) {
  RCC_CR |= RCC_CR_HSION;
  if (!wait_until(&RCC_CR, RCC_CR_HSIRDY, RCC_CR_HSIRDY)) {
    return 0;
  }
  RCC_CFGR &= ~RCC_CFGR_SW;
  return wait_until(&RCC_CFGR, RCC_CFGR_SWS, 0);
}

/* The voltage scale can change, and the PLL be set, only while the PLL is off; a boot loader may have left
 * it on. */
static int start_pll(void) {
  RCC_CR &= ~RCC_CR_PLLON;
  if (!wait_until(&RCC_CR, RCC_CR_PLLRDY, 0)) {
    return 0;
  }
  RCC_APB1ENR |= RCC_APB1ENR_PWREN;
  (void)RCC_APB1ENR; /* the clock needs two bus cycles before PWR answers */
  PWR_CR = (PWR_CR & ~PWR_CR_VOS) | BOARD_PWR_CR_VOS;
  RCC_PLLCFGR = BOARD_RCC_PLLCFGR;
  RCC_CR |= RCC_CR_PLLON;
  return wait_until(&RCC_CR, RCC_CR_PLLRDY, RCC_CR_PLLRDY) &&
         wait_until(&PWR_CSR, PWR_CSR_VOSRDY, PWR_CSR_VOSRDY);
}

static int start_over_drive(void) {
#if BOARD_OVER_DRIVE
  PWR_CR |= PWR_CR_ODEN;
  if (!wait_until(&PWR_CSR, PWR_CSR_ODRDY, PWR_CSR_ODRDY)) {
    return 0;
  }
  PWR_CR |= PWR_CR_ODSWEN;
  return wait_until(&PWR_CSR, PWR_CSR_ODSWRDY, PWR_CSR_ODSWRDY);
#else
  return 1;
#endif
}

/* Wait states come before the faster clock, and are read back before it: RM0090, "increasing the CPU
 * frequency". */
static int run_from_pll(void) {
  FLASH_ACR = BOARD_FLASH_ACR;
  if (!wait_until(&FLASH_ACR, FLASH_ACR_LATENCY, BOARD_FLASH_ACR & FLASH_ACR_LATENCY)) {
    return 0;
  }
  RCC_CFGR = BOARD_RCC_CFGR_DIVIDERS;
  RCC_CFGR = BOARD_RCC_CFGR_DIVIDERS | RCC_CFGR_SW_PLL;
  return wait_until(&RCC_CFGR, RCC_CFGR_SWS, RCC_CFGR_SWS_PLL);
}

struct clocks clock_init(void) {
  static const struct clocks full = {BOARD_CORE_HZ, BOARD_APB1_HZ, BOARD_APB2_HZ, BOARD_TIM2_HZ, 1};
  struct clocks reset = {BOARD_RESET_HZ, BOARD_RESET_HZ, BOARD_RESET_HZ, BOARD_RESET_HZ, 1};

  if (!run_from_hsi()) {
    reset.known = 0;
    return reset;
  }
  if (start_pll() && start_over_drive() && run_from_pll()) {
    return full;
  }
  RCC_CFGR = 0; /* HSI, no dividers */
  return reset;
}

enum port_reset_cause clock_reset_cause(void) {
  const uint32_t flags = RCC_CSR;
  RCC_CSR |= RCC_CSR_RMVF;
  /* Most telling first: the reset pin is driven by every internal reset too. */
  if (flags & RCC_CSR_LPWRRSTF) {
    return PORT_RESET_LOW_POWER;
  }
  if (flags & (RCC_CSR_WWDGRSTF | RCC_CSR_IWDGRSTF)) {
    return PORT_RESET_WATCHDOG;
  }
  if (flags & RCC_CSR_SFTRSTF) {
    return PORT_RESET_SOFTWARE;
  }
  if (flags & (RCC_CSR_PORRSTF | RCC_CSR_BORRSTF)) {
    return PORT_RESET_POWER_ON;
  }
  return (flags & RCC_CSR_PINRSTF) ? PORT_RESET_PIN : PORT_RESET_UNKNOWN;
}
