/* SPDX-License-Identifier: Apache-2.0 */
/* STM32H742 to H753 clock tree: HSI -> PLL1 -> core. Source: RM0433, chapters PWR, RCC and FLASH. */
#include "board_config.h"
#include "clock.h"
#include "poll.h"
#include "stm32_registers.h"

/* A boot loader may have divided HSI or left another clock. */
static int run_from_hsi(void) {
  RCC_CR |= RCC_CR_HSION;
  if (!wait_until(&RCC_CR, RCC_CR_HSIRDY, RCC_CR_HSIRDY)) {
    return 0;
  }
  RCC_CFGR &= ~RCC_CFGR_SW;
  if (!wait_until(&RCC_CFGR, RCC_CFGR_SWS, 0)) {
    return 0;
  }
  RCC_CR &= ~RCC_CR_HSIDIV;
  return wait_until(&RCC_CR, RCC_CR_HSIRDY, RCC_CR_HSIRDY);
}

/* The supply must be chosen before the voltage scale can change, by one write of PWR_CR3 after power-on (RM0433,
 * "system supply startup"): the LDO here. The PLL is off, so the scale may change. */
static int raise_voltage(void) {
  PWR_CR3 = (PWR_CR3 & ~PWR_CR3_BYPASS) | PWR_CR3_LDOEN | PWR_CR3_SCUEN;
  if (!wait_until(&PWR_CSR1, PWR_CSR1_ACTVOSRDY, PWR_CSR1_ACTVOSRDY)) {
    return 0;
  }
  PWR_D3CR = (PWR_D3CR & ~PWR_D3CR_VOS) | BOARD_PWR_D3CR_VOS;
  return wait_until(&PWR_D3CR, PWR_D3CR_VOSRDY, PWR_D3CR_VOSRDY);
}

/* The PLL can be set only while it is off; a boot loader may have left it on. */
static int stop_pll(void) {
  RCC_CR &= ~RCC_CR_PLL1ON;
  return wait_until(&RCC_CR, RCC_CR_PLL1RDY, 0);
}

static int start_pll(void) {
  const uint32_t others = RCC_PLLCKSELR & ~(RCC_PLLCKSELR_PLLSRC | RCC_PLLCKSELR_DIVM1);
  RCC_PLLCKSELR = others | BOARD_RCC_PLLCKSELR_DIVM1;
  RCC_PLLCFGR = (RCC_PLLCFGR & ~RCC_PLLCFGR_PLL1) | BOARD_RCC_PLLCFGR_PLL1;
  RCC_PLL1DIVR = BOARD_RCC_PLL1DIVR;
  RCC_CR |= RCC_CR_PLL1ON;
  return wait_until(&RCC_CR, RCC_CR_PLL1RDY, RCC_CR_PLL1RDY);
}

/* Wait states and bus dividers come before the faster clock; the wait states are read back before it. */
static int run_from_pll(void) {
  FLASH_ACR = (FLASH_ACR & ~FLASH_ACR_FIELDS) | BOARD_FLASH_ACR;
  if (!wait_until(&FLASH_ACR, FLASH_ACR_FIELDS, BOARD_FLASH_ACR)) {
    return 0;
  }
  RCC_D1CFGR = BOARD_RCC_D1CFGR;
  RCC_D2CFGR = BOARD_RCC_D2CFGR;
  RCC_D3CFGR = BOARD_RCC_D3CFGR;
  RCC_CFGR = (RCC_CFGR & ~RCC_CFGR_SW) | RCC_CFGR_SW_PLL1;
  return wait_until(&RCC_CFGR, RCC_CFGR_SWS, RCC_CFGR_SWS_PLL1);
}

static void undo_switch(void) {
  RCC_CFGR &= ~RCC_CFGR_SW;
  RCC_D1CFGR = 0;
  RCC_D2CFGR = 0;
  RCC_D3CFGR = 0;
}

struct clocks clock_init(void) {
  static const struct clocks full = {BOARD_CORE_HZ, BOARD_APB1_HZ, BOARD_APB2_HZ, BOARD_TIM2_HZ, 1};
  struct clocks reset = {BOARD_RESET_HZ, BOARD_RESET_HZ, BOARD_RESET_HZ, BOARD_RESET_HZ, 1};

  if (!run_from_hsi()) {
    reset.known = 0;
    return reset;
  }
  if (stop_pll() && raise_voltage() && start_pll() && run_from_pll()) {
    return full;
  }
  undo_switch();
  return reset;
}

enum port_reset_cause clock_reset_cause(void) {
  const uint32_t flags = RCC_RSR;
  RCC_RSR |= RCC_RSR_RMVF;
  /* Most telling first: the reset pin is driven by every internal reset too. */
  if (flags & RCC_RSR_LPWRRSTF) {
    return PORT_RESET_LOW_POWER;
  }
  if (flags & (RCC_RSR_WWDG1RSTF | RCC_RSR_IWDG1RSTF)) {
    return PORT_RESET_WATCHDOG;
  }
  if (flags & RCC_RSR_SFTRSTF) {
    return PORT_RESET_SOFTWARE;
  }
  if (flags & (RCC_RSR_PORRSTF | RCC_RSR_BORRSTF)) {
    return PORT_RESET_POWER_ON;
  }
  return (flags & RCC_RSR_PINRSTF) ? PORT_RESET_PIN : PORT_RESET_UNKNOWN;
}
