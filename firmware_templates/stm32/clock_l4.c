/* SPDX-License-Identifier: Apache-2.0 */
/* STM32L4 and STM32L4+ clock tree: HSI16 -> PLL -> core; MSI is the clock after reset and the one to fall back to.
 * Source: RM0351 and RM0432, chapters PWR, RCC and FLASH. */
#include "board_config.h"
#include "clock.h"
#include "poll.h"
#include "stm32_registers.h"

/* At least 1 us at any clock of these chips: each turn takes several of at most 120 cycles per us. */
#define SETTLE_TURNS 100u

/* The range may change only while MSI is ready; a boot loader may have left another one, or another clock. */
static int run_from_msi(void) {
  RCC_CR |= RCC_CR_MSION;
  if (!wait_until(&RCC_CR, RCC_CR_MSIRDY, RCC_CR_MSIRDY)) {
    return 0;
  }
  RCC_CR = (RCC_CR & ~RCC_CR_MSIRANGE) | RCC_CR_MSIRANGE_4_MHZ | RCC_CR_MSIRGSEL;
  RCC_CFGR &= ~RCC_CFGR_SW;
  return wait_until(&RCC_CFGR, RCC_CFGR_SWS, 0);
}

/* Range 1 is the voltage after reset. Boost mode, which needs it, is entered before the faster clock (RM0432,
 * "dynamic voltage scaling management"). */
static int raise_voltage(void) {
  PWR_CR1 = (PWR_CR1 & ~PWR_CR1_VOS) | PWR_CR1_VOS_RANGE_1;
  if (!wait_until(&PWR_SR2, PWR_SR2_VOSF, 0)) {
    return 0;
  }
#if BOARD_BOOST
  PWR_CR5 &= ~PWR_CR5_R1MODE;
#endif
  return 1;
}

/* The PLL can be set only while it is off; a boot loader may have left it on. */
static int start_pll(void) {
  RCC_CR &= ~RCC_CR_PLLON;
  if (!wait_until(&RCC_CR, RCC_CR_PLLRDY, 0)) {
    return 0;
  }
  RCC_CR |= RCC_CR_HSION;
  if (!wait_until(&RCC_CR, RCC_CR_HSIRDY, RCC_CR_HSIRDY)) {
    return 0;
  }
  RCC_PLLCFGR = BOARD_RCC_PLLCFGR;
  RCC_CR |= RCC_CR_PLLON;
  return wait_until(&RCC_CR, RCC_CR_PLLRDY, RCC_CR_PLLRDY);
}

static int switch_to_pll(uint32_t dividers) {
  RCC_CFGR = dividers;
  RCC_CFGR = dividers | RCC_CFGR_SW_PLL;
  return wait_until(&RCC_CFGR, RCC_CFGR_SWS, RCC_CFGR_SWS_PLL);
}

/* Wait states come before the faster clock, and are read back before it. Above 80 MHz the core runs at half the
 * clock for 1 us after the change, so that the regulator can follow. */
static int run_from_pll(void) {
  FLASH_ACR = BOARD_FLASH_ACR;
  if (!wait_until(&FLASH_ACR, FLASH_ACR_LATENCY, BOARD_FLASH_ACR & FLASH_ACR_LATENCY)) {
    return 0;
  }
#if BOARD_BOOST
  if (!switch_to_pll(BOARD_RCC_CFGR_DIVIDERS | RCC_CFGR_HPRE_2)) {
    return 0;
  }
  for (volatile uint32_t turn = 0; turn < SETTLE_TURNS; turn++) {
  }
#endif
  return switch_to_pll(BOARD_RCC_CFGR_DIVIDERS);
}

struct clocks clock_init(void) {
  static const struct clocks full = {BOARD_CORE_HZ, BOARD_APB1_HZ, BOARD_APB2_HZ, BOARD_TIM2_HZ, 1};
  struct clocks reset = {BOARD_RESET_HZ, BOARD_RESET_HZ, BOARD_RESET_HZ, BOARD_RESET_HZ, 1};

  RCC_APB1ENR1 |= RCC_APB1ENR1_PWREN;
  (void)RCC_APB1ENR1; /* the clock needs two bus cycles before PWR answers */
  if (!run_from_msi()) {
    reset.known = 0;
    return reset;
  }
  if (raise_voltage() && start_pll() && run_from_pll()) {
    return full;
  }
  RCC_CFGR = 0; /* MSI, no dividers */
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
  if (flags & (RCC_CSR_SFTRSTF | RCC_CSR_OBLRSTF)) {
    return PORT_RESET_SOFTWARE;
  }
  if (flags & RCC_CSR_BORRSTF) { /* on these chips power-on sets it too */
    return PORT_RESET_POWER_ON;
  }
  return (flags & RCC_CSR_PINRSTF) ? PORT_RESET_PIN : PORT_RESET_UNKNOWN;
}
