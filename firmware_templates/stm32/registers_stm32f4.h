/* SPDX-License-Identifier: Apache-2.0 */
/* The STM32F4 and STM32F7 registers that the firmware uses.
 * Source: RM0090 (STM32F405/407/42x/43x) and RM0390 (STM32F446); the addresses and bits are the same in
 * RM0368 (STM32F401), RM0383 (STM32F411) and RM0410 (STM32F76x/77x, where PWR_CR and PWR_CSR are called PWR_CR1
 * and PWR_CSR1). */
#ifndef STM32_REGISTERS_H
#define STM32_REGISTERS_H

#include "cortex_m.h"

/* Flash interface: FLASH_ACR */
#define FLASH_ACR REG32(0x40023C00u)
#define FLASH_ACR_LATENCY 0xFu

/* Power controller: PWR_CR, PWR_CSR */
#define PWR_CR REG32(0x40007000u)
#define PWR_CR_VOS (3u << 14)
#define PWR_CR_ODEN (1u << 16)
#define PWR_CR_ODSWEN (1u << 17)
#define PWR_CSR REG32(0x40007004u)
#define PWR_CSR_VOSRDY (1u << 14)
#define PWR_CSR_ODRDY (1u << 16)
#define PWR_CSR_ODSWRDY (1u << 17)

/* Reset and clock control */
#define RCC_CR REG32(0x40023800u)
#define RCC_CR_HSION (1u << 0)
#define RCC_CR_HSIRDY (1u << 1)
#define RCC_CR_PLLON (1u << 24)
#define RCC_CR_PLLRDY (1u << 25)
#define RCC_PLLCFGR REG32(0x40023804u)
#define RCC_CFGR REG32(0x40023808u)
#define RCC_CFGR_SW 3u
#define RCC_CFGR_SW_PLL 2u
#define RCC_CFGR_SWS (3u << 2)
#define RCC_CFGR_SWS_PLL (2u << 2)
#define RCC_APB1ENR REG32(0x40023840u)
#define RCC_APB1ENR_TIM2EN (1u << 0)
#define RCC_APB1ENR_PWREN (1u << 28)
#define RCC_CSR REG32(0x40023874u)
#define RCC_CSR_RMVF (1u << 24)
#define RCC_CSR_BORRSTF (1u << 25)
#define RCC_CSR_PINRSTF (1u << 26)
#define RCC_CSR_PORRSTF (1u << 27)
#define RCC_CSR_SFTRSTF (1u << 28)
#define RCC_CSR_IWDGRSTF (1u << 29)
#define RCC_CSR_WWDGRSTF (1u << 30)
#define RCC_CSR_LPWRRSTF (1u << 31)

/* TIM2, a 32-bit up-counter, and where its clock is switched on */
#define TIM2_BASE 0x40000000u
#define TIM2_CR1 REG32(TIM2_BASE + 0x00u)
#define TIM2_CR1_CEN (1u << 0)
#define TIM2_EGR REG32(TIM2_BASE + 0x14u)
#define TIM2_EGR_UG (1u << 0)
#define TIM2_CNT REG32(TIM2_BASE + 0x24u)
#define TIM2_PSC REG32(TIM2_BASE + 0x28u)
#define TIM2_ARR REG32(TIM2_BASE + 0x2Cu)
#define TIM2_ENABLE_REGISTER RCC_APB1ENR
#define TIM2_ENABLE_MASK RCC_APB1ENR_TIM2EN

/* GPIO port, offsets from its base */
#define GPIO_MODER(base) REG32((base) + 0x00u)
#define GPIO_MODER_ALTERNATE 2u
#define GPIO_PUPDR(base) REG32((base) + 0x0Cu)
#define GPIO_PUPDR_UP 1u
#define GPIO_AFR(base, pin) REG32((base) + 0x20u + 4u * ((pin) / 8u))

#endif
