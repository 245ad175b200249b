/* SPDX-License-Identifier: Apache-2.0 */
/* The core registers that the firmware uses, and the few instructions that C has no words for.
 * Source: Armv7-M Architecture Reference Manual (DDI 0403), part B. */
#ifndef CORTEX_M_H
#define CORTEX_M_H

#include <stdint.h>

#define REG32(address) (*(volatile uint32_t *)(uintptr_t)(address))

/* System control block, B3.2 */
#define SCB_VTOR REG32(0xE000ED08u)
#define SCB_AIRCR REG32(0xE000ED0Cu)
#define SCB_AIRCR_SYSRESETREQ 0x05FA0004u /* with the write key */
#define SCB_CCR REG32(0xE000ED14u)
#define SCB_CCR_DIV_0_TRP (1u << 4)
#define SCB_CCR_DC (1u << 16)
#define SCB_CCR_IC (1u << 17)
#define SCB_CFSR REG32(0xE000ED28u)
#define SCB_HFSR REG32(0xE000ED2Cu)
#define SCB_CPACR REG32(0xE000ED88u)
#define SCB_CPACR_FPU_FULL_ACCESS (0xFu << 20)

/* Caches, B4.8 */
#define SCB_CCSIDR REG32(0xE000ED80u)
#define SCB_CSSELR REG32(0xE000ED84u)
#define SCB_CSSELR_L1_DATA 0u
#define SCB_ICIALLU REG32(0xE000EF50u)
#define SCB_DCISW REG32(0xE000EF60u)
#define SCB_DCCMVAC REG32(0xE000EF68u)

/* SysTick, B3.3 */
#define SYST_CSR REG32(0xE000E010u)
#define SYST_CSR_ENABLE (1u << 0)
#define SYST_CSR_TICKINT (1u << 1)
#define SYST_CSR_CLKSOURCE_CORE (1u << 2)
#define SYST_RVR REG32(0xE000E014u)
#define SYST_CVR REG32(0xE000E018u)
#define SYST_MAX 0xFFFFFFu

/* Interrupt controller, B3.4 */
#define NVIC_ISER(n) REG32(0xE000E100u + 4u * (n))
#define NVIC_ICER(n) REG32(0xE000E180u + 4u * (n))
#define NVIC_WORDS 8u /* 240 interrupts in words of 32; no chip here has more */

/* Data watchpoint and trace, C1.6 and C1.8 */
#define DEMCR REG32(0xE000EDFCu)
#define DEMCR_TRCENA (1u << 24)
#define DWT_CTRL REG32(0xE0001000u)
#define DWT_CTRL_CYCCNTENA (1u << 0)
#define DWT_CYCCNT REG32(0xE0001004u)
#define DWT_LAR REG32(0xE0001FB0u) /* lock of Cortex-M7; reads as nothing on Cortex-M4 */
#define DWT_LAR_UNLOCK 0xC5ACCE55u

static inline void cpu_disable_interrupts(void) { __asm__ volatile("cpsid i" ::: "memory"); }

static inline void cpu_enable_interrupts(void) { __asm__ volatile("cpsie i" ::: "memory"); }

static inline void cpu_wait_for_interrupt(void) { __asm__ volatile("dsb\n\twfi" ::: "memory"); }

static inline void cpu_synchronize(void) { __asm__ volatile("dsb\n\tisb" ::: "memory"); }

/* Restarts the whole chip. Does not return. */
__attribute__((noreturn)) static inline void cpu_reset(void) {
  cpu_synchronize();
  SCB_AIRCR = SCB_AIRCR_SYSRESETREQ;
  cpu_synchronize();
  for (;;) {
  }
}

#endif
