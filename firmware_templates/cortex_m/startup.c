/* SPDX-License-Identifier: Apache-2.0 */
/* From reset to main(): vector table, FPU, .data and .bss, stack painting. */
#include <stdint.h>

#include "board_config.h"
#include "caches.h"
#include "cortex_m.h"
#include "fault.h"
#include "linker.h"
#include "stack.h"
#include "ticks.h"
#include "uart.h"

int main(void);
void reset_handler(void);

typedef void (*handler)(void);

/* Armv7-M B1.5.3. Only interrupts that are enabled can arrive, and that is one; the entries before it stay
 * empty. An empty entry that is taken all the same ends in fault_entry by way of a HardFault. */
struct vector_table {
  uint32_t *initial_stack;
  handler reset;
  handler nmi;
  handler hard_fault;
  handler memory_fault;
  handler bus_fault;
  handler usage_fault;
  handler reserved[4];
  handler supervisor_call;
  handler debug_monitor;
  handler reserved_13;
  handler pend_supervisor;
  handler systick;
  handler interrupt[BOARD_UART_IRQ + 1u];
};

__attribute__((section(".vectors"), used)) const struct vector_table vectors = {
    .initial_stack = ld_stack_top,
    .reset = reset_handler,
    .nmi = fault_entry,
    .hard_fault = fault_entry,
    .memory_fault = fault_entry,
    .bus_fault = fault_entry,
    .usage_fault = fault_entry,
    .supervisor_call = fault_entry,
    .debug_monitor = fault_entry,
    .pend_supervisor = fault_entry,
    .systick = ticks_systick_interrupt,
    .interrupt = {[BOARD_UART_IRQ] = uart_interrupt},
};

static void copy_data(void) {
  const uint32_t *from = ld_data_load;
  for (uint32_t *to = ld_data_start; to < ld_data_end; to++) {
    *to = *from++;
  }
}

static void clear(uint32_t *from, const uint32_t *to) {
  while (from < to) {
    *from++ = 0;
  }
}

/* Kept apart from reset_handler() so that no instruction of it runs before the FPU is on. */
__attribute__((noinline, noreturn)) static void start(void) {
  stack_paint();
  copy_data();
  clear(ld_bss_start, ld_bss_end);
  /* RAM with error correction must be written in whole words before it is used in part. */
  clear(ld_arena_start, ld_arena_end);
  (void)main();
  cpu_reset();
}

/* A boot loader that jumps here may have left interrupts on for which this table has no entry. */
static inline void silence_interrupts(void) {
  SYST_CSR = 0;
  for (uint32_t n = 0; n < NVIC_WORDS; n++) {
    NVIC_ICER(n) = 0xFFFFFFFFu;
  }
}

void reset_handler(void) {
  silence_interrupts();
  SCB_VTOR = (uint32_t)(uintptr_t)&vectors;
#if defined(__ARM_FP)
  SCB_CPACR |= SCB_CPACR_FPU_FULL_ACCESS;
#endif
  SCB_CCR |= SCB_CCR_DIV_0_TRP;
  cpu_synchronize();
#if BOARD_CACHES
  caches_enable();
#endif
  start();
}
