/* SPDX-License-Identifier: Apache-2.0 */
/* A model of the STM32F4 clock controller as RM0090 describes it, strict where silicon would go wrong quietly:
 * it notes an error when the core is switched to a clock that is not ready, or that flash or the regulator
 * cannot follow. */
#include "stm32_register_model.h"

#include <stddef.h>

#include "board_config.h"

enum { MAX_REGISTERS = 64 };

static struct {
  uint32_t address;
  volatile uint32_t value;
} registers[MAX_REGISTERS];
static size_t register_count;

/* Ready flags that never come, by bit: see `enum broken` in test_stm32_registers.py. */
static uint32_t broken;
static uint32_t pll_was_on;
static uint32_t pllcfgr_when_on;
static uint32_t vos_when_on;
static uint32_t cfgr_before;
static uint32_t brr_before;
static const char *error;

static volatile uint32_t *find(uint32_t address) {
  for (size_t i = 0; i < register_count; i++) {
    if (registers[i].address == address) {
      return &registers[i].value;
    }
  }
  registers[register_count].address = address;
  registers[register_count].value = 0;
  return &registers[register_count++].value;
}

#define UART_BRR (*find(BOARD_UART_BASE + 0x08u))
#define UART_CR1 (*find(BOARD_UART_BASE + 0x0Cu))
#define RCC_CR (*find(0x40023800u))
#define RCC_PLLCFGR (*find(0x40023804u))
#define RCC_CFGR (*find(0x40023808u))
#define RCC_APB1ENR (*find(0x40023840u))
#define FLASH_ACR (*find(0x40023C00u))
#define PWR_CR (*find(0x40007000u))
#define PWR_CSR (*find(0x40007004u))

static void set_flag(volatile uint32_t *reg, uint32_t flag, uint32_t on) {
  *reg = on ? *reg | flag : *reg & ~flag;
}

static int is_broken(uint32_t bit) { return (broken >> bit & 1u) != 0u; }

static void fail(const char *what) {
  if (error == NULL) {
    error = what;
  }
}

static void react_pll(void) {
  const uint32_t on = RCC_CR >> 24 & 1u;
  if (on && !pll_was_on) {
    pllcfgr_when_on = RCC_PLLCFGR;
    vos_when_on = PWR_CR >> 14 & 3u;
  }
  if (on && RCC_PLLCFGR != pllcfgr_when_on) {
    fail("RCC_PLLCFGR written while the PLL is on");
  }
  if (on && (PWR_CR >> 14 & 3u) != vos_when_on) {
    fail("voltage scale written while the PLL is on");
  }
  pll_was_on = on;
  set_flag(&RCC_CR, 1u << 25, on && !is_broken(1));
}

static void react_power(void) {
  const uint32_t clocked = RCC_APB1ENR >> 28 & 1u;
  if (!clocked && PWR_CR != 0x4000u) {
    fail("PWR written before its clock is on");
  }
  set_flag(&PWR_CSR, 1u << 14, (RCC_CR >> 25 & 1u) && !is_broken(2));
  set_flag(&PWR_CSR, 1u << 16, (PWR_CR >> 16 & 1u) && !is_broken(4));
  set_flag(&PWR_CSR, 1u << 17, (PWR_CR >> 17 & 1u) && (PWR_CSR >> 16 & 1u) && !is_broken(5));
}

static void react_switch(void) {
  const uint32_t wanted = RCC_CFGR & 3u;
  if (wanted == 2u) {
    if (!(RCC_CR >> 25 & 1u)) {
      fail("switched to a PLL that is not ready");
    }
    if ((FLASH_ACR & 0xFu) < (BOARD_FLASH_ACR & 0xFu)) {
      fail("switched before the flash wait states");
    }
    if (!(PWR_CSR >> 14 & 1u)) {
      fail("switched before the regulator is ready");
    }
    if (BOARD_OVER_DRIVE && !(PWR_CSR >> 17 & 1u)) {
      fail("switched before over-drive");
    }
    /* A new divider takes up to 16 cycles: it must have been written before. */
    if ((cfgr_before & 0xFCF0u) != BOARD_RCC_CFGR_DIVIDERS) {
      fail("switched before the bus dividers");
    }
  }
  cfgr_before = RCC_CFGR;
  if (!is_broken(3) || wanted == 0u) {
    RCC_CFGR = (RCC_CFGR & ~0xCu) | wanted << 2;
  }
}

static void react_uart(void) {
  if (UART_BRR != brr_before && (UART_CR1 >> 13 & 1u)) {
    fail("UART rate written while it is on");
  }
  brr_before = UART_BRR;
}

volatile uint32_t *model_register(uint32_t address) {
  set_flag(&RCC_CR, 1u << 1, (RCC_CR & 1u) && !is_broken(0));
  if (is_broken(6)) {
    FLASH_ACR = 0;
  }
  react_pll();
  react_power();
  react_switch();
  react_uart();
  return find(address);
}

/* For the test: the chip after reset, with some ready flags out of order. */
void model_reset(uint32_t broken_flags) {
  register_count = 0;
  error = NULL;
  broken = broken_flags;
  pll_was_on = 0;
  cfgr_before = 0;
  brr_before = 0;
  RCC_CR = 0x83u;
  RCC_PLLCFGR = 0x24003010u;
  PWR_CR = 0x4000u;
}

uint32_t model_read(uint32_t address) { return *find(address); }

void model_write(uint32_t address, uint32_t value) { *find(address) = value; }

const char *model_error(void) {
  (void)model_register(0x40023800u);
  return error;
}
