/* SPDX-License-Identifier: Apache-2.0 */
/* The STM32H742 to H753 registers that the firmware uses. Source: RM0433. */
#ifndef STM32_REGISTERS_H
#define STM32_REGISTERS_H

#include "cortex_m.h"

/* Flash interface: FLASH_ACR */
#define FLASH_ACR REG32(0x52002000u)
#define FLASH_ACR_FIELDS 0x3Fu /* LATENCY and WRHIGHFREQ */

/* Power controller */
#define PWR_CSR1 REG32(0x58024804u)
#define PWR_CSR1_ACTVOSRDY (1u << 13)
#define PWR_CR3 REG32(0x5802480Cu)
#define PWR_CR3_BYPASS (1u << 0)
#define PWR_CR3_LDOEN (1u << 1)
#define PWR_CR3_SCUEN (1u << 2)
#define PWR_D3CR REG32(0x58024818u)
#define PWR_D3CR_VOSRDY (1u << 13)
#define PWR_D3CR_VOS (3u << 14)

/* Reset and clock control */
#define RCC_CR REG32(0x58024400u)
#define RCC_CR_HSION (1u << 0)
#define RCC_CR_HSIRDY (1u << 2)
#define RCC_CR_HSIDIV (3u << 3)
#define RCC_CR_PLL1ON (1u << 24)
#define RCC_CR_PLL1RDY (1u << 25)
#define RCC_CFGR REG32(0x58024410u)
#define RCC_CFGR_SW 7u
#define RCC_CFGR_SW_PLL1 3u
#define RCC_CFGR_SWS (7u << 3)
#define RCC_CFGR_SWS_PLL1 (3u << 3)
#define RCC_D1CFGR REG32(0x58024418u)
#define RCC_D2CFGR REG32(0x5802441Cu)
#define RCC_D3CFGR REG32(0x58024420u)
#define RCC_PLLCKSELR REG32(0x58024428u)
#define RCC_PLLCKSELR_PLLSRC 3u /* 0: HSI */
#define RCC_PLLCKSELR_DIVM1 (0x3Fu << 4)
#define RCC_PLLCFGR REG32(0x5802442Cu)
#define RCC_PLLCFGR_PLL1 0x7000Fu /* DIVR1EN, DIVQ1EN, DIVP1EN, PLL1RGE, PLL1VCOSEL, PLL1FRACEN */
#define RCC_PLL1DIVR REG32(0x58024430u)
#define RCC_RSR REG32(0x580244D0u)
#define RCC_RSR_RMVF (1u << 16)
#define RCC_RSR_BORRSTF (1u << 21)
#define RCC_RSR_PINRSTF (1u << 22)
#define RCC_RSR_PORRSTF (1u << 23)
#define RCC_RSR_SFTRSTF (1u << 24)
#define RCC_RSR_IWDG1RSTF (1u << 26)
#define RCC_RSR_WWDG1RSTF (1u << 28)
#define RCC_RSR_LPWRRSTF (1u << 30)
#define RCC_APB1LENR REG32(0x580244E8u)
#define RCC_APB1LENR_TIM2EN (1u << 0)

/* TIM2, a 32-bit up-counter, and where its clock is switched on */
#define TIM2_BASE 0x40000000u
#define TIM2_CR1 REG32(TIM2_BASE + 0x00u)
#define TIM2_CR1_CEN (1u << 0)
#define TIM2_EGR REG32(TIM2_BASE + 0x14u)
#define TIM2_EGR_UG (1u << 0)
#define TIM2_CNT REG32(TIM2_BASE + 0x24u)
#define TIM2_PSC REG32(TIM2_BASE + 0x28u)
#define TIM2_ARR REG32(TIM2_BASE + 0x2Cu)
#define TIM2_ENABLE_REGISTER RCC_APB1LENR
#define TIM2_ENABLE_MASK RCC_APB1LENR_TIM2EN

/* GPIO port, offsets from its base */
#define GPIO_MODER(base) REG32((base) + 0x00u)
#define GPIO_MODER_ALTERNATE 2u
#define GPIO_PUPDR(base) REG32((base) + 0x0Cu)
#define GPIO_PUPDR_UP 1u
#define GPIO_AFR(base, pin) REG32((base) + 0x20u + 4u * ((pin) / 8u))

#endif
