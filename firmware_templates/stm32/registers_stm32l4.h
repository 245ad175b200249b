/* SPDX-License-Identifier: Apache-2.0 */
/* The STM32L4 and STM32L4+ registers that the firmware uses. Source: RM0351 (STM32L47x) and RM0432 (STM32L4Rx). */
#ifndef STM32_REGISTERS_H
#define STM32_REGISTERS_H

#include "cortex_m.h"

/* Flash interface: FLASH_ACR */
#define FLASH_ACR REG32(0x40022000u)
#define FLASH_ACR_LATENCY 0xFu /* 3 bits and a reserved one on STM32L47x, which have at most 4 wait states */

/* Power controller */
#define PWR_CR1 REG32(0x40007000u)
#define PWR_CR1_VOS (3u << 9)
#define PWR_CR1_VOS_RANGE_1 (1u << 9)
#define PWR_SR2 REG32(0x40007014u)
#define PWR_SR2_VOSF (1u << 10)
#define PWR_CR5 REG32(0x40007080u) /* STM32L4+ */
#define PWR_CR5_R1MODE (1u << 8)   /* 0: boost */

/* Reset and clock control */
#define RCC_CR REG32(0x40021000u)
#define RCC_CR_MSION (1u << 0)
#define RCC_CR_MSIRDY (1u << 1)
#define RCC_CR_MSIRGSEL (1u << 3)
#define RCC_CR_MSIRANGE (0xFu << 4)
#define RCC_CR_MSIRANGE_4_MHZ (6u << 4)
#define RCC_CR_HSION (1u << 8)
#define RCC_CR_HSIRDY (1u << 10)
#define RCC_CR_PLLON (1u << 24)
#define RCC_CR_PLLRDY (1u << 25)
#define RCC_CFGR REG32(0x40021008u)
#define RCC_CFGR_SW 3u
#define RCC_CFGR_SW_PLL 3u
#define RCC_CFGR_SWS (3u << 2)
#define RCC_CFGR_SWS_PLL (3u << 2)
#define RCC_CFGR_HPRE_2 (8u << 4)
#define RCC_PLLCFGR REG32(0x4002100Cu)
#define RCC_APB1ENR1 REG32(0x40021058u)
#define RCC_APB1ENR1_TIM2EN (1u << 0)
#define RCC_APB1ENR1_PWREN (1u << 28)
#define RCC_CSR REG32(0x40021094u)
#define RCC_CSR_RMVF (1u << 23)
#define RCC_CSR_OBLRSTF (1u << 25)
#define RCC_CSR_PINRSTF (1u << 26)
#define RCC_CSR_BORRSTF (1u << 27)
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
#define TIM2_ENABLE_REGISTER RCC_APB1ENR1
#define TIM2_ENABLE_MASK RCC_APB1ENR1_TIM2EN

/* GPIO port, offsets from its base */
#define GPIO_MODER(base) REG32((base) + 0x00u)
#define GPIO_MODER_ALTERNATE 2u
#define GPIO_PUPDR(base) REG32((base) + 0x0Cu)
#define GPIO_PUPDR_UP 1u
#define GPIO_AFR(base, pin) REG32((base) + 0x20u + 4u * ((pin) / 8u))

#endif
