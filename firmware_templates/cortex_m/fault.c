/* SPDX-License-Identifier: Apache-2.0 */
#include "fault.h"

#include <stdint.h>

#include "board_config.h"
#include "boot_record.h"
#include "caches.h"
#include "cortex_m.h"
#include "linker.h"

/* Words of the frame that the core stacks on exception entry: r0-r3, r12, lr, pc, xPSR (Armv7-M B1.5.6). */
#define FRAME_LR 5
#define FRAME_PC 6
#define FRAME_BYTES 32u

void fault_save_and_reset(const uint32_t *frame);

/* Stack that fault_save_and_reset() may take; it needs less than half of it. */
#define HANDLER_STACK_BYTES 128

/* After a stack overflow there is nothing left to run on, so the handler then starts at the top of the stack:
 * nobody returns to what is there. The old stack pointer, which is the frame, goes along in r0. */
__attribute__((naked)) void fault_entry(void) {
  __asm__ volatile(
      "mrs r0, msp\n\t"
      "movw r1, #:lower16:(ld_stack_bottom + %c0)\n\t"
      "movt r1, #:upper16:(ld_stack_bottom + %c0)\n\t"
      "movw r2, #:lower16:ld_stack_top\n\t"
      "movt r2, #:upper16:ld_stack_top\n\t"
      "cmp r0, r1\n\t"
      "blo 1f\n\t"
      "cmp r0, r2\n\t"
      "blo 2f\n"
      "1:\n\t"
      "msr msp, r2\n"
      "2:\n\t"
      "b fault_save_and_reset\n"
      :
      : "i"(HANDLER_STACK_BYTES));
}

__attribute__((used, noreturn)) void fault_save_and_reset(const uint32_t *frame) {
  struct port_fault fault = {0, 0, SCB_CFSR, SCB_HFSR};
  /* The frame is worth reading only if it was stacked inside the stack. */
  const uintptr_t at = (uintptr_t)frame;
  if (at >= (uintptr_t)ld_stack_bottom && at + FRAME_BYTES <= (uintptr_t)ld_stack_top) {
    fault.pc = frame[FRAME_PC];
    fault.lr = frame[FRAME_LR];
  }
  boot_record_leave(&fault);
#if BOARD_CACHES
  caches_save_noinit();
#endif
  cpu_reset();
}
