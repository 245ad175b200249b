/* SPDX-License-Identifier: Apache-2.0 */
#include "stack.h"

#include "linker.h"

#define PAINT 0xC0DEC0DEu

/* The compiler may still push registers below the stack pointer that stack_paint() reads. */
#define PAINT_MARGIN_WORDS 16

void stack_paint(void) {
  uint32_t *stack_pointer;
  __asm__ volatile("mov %0, sp" : "=r"(stack_pointer));
  /* Volatile, or the compiler may turn the loop into a memset() call, whose frame would be painted over. */
  const uint32_t *const end = stack_pointer - PAINT_MARGIN_WORDS;
  for (volatile uint32_t *word = ld_stack_bottom; word < end; word++) {
    *word = PAINT;
  }
}

uint32_t stack_bytes(void) {
  return (uint32_t)((uintptr_t)ld_stack_top - (uintptr_t)ld_stack_bottom);
}

uint32_t stack_high_water(void) {
  const volatile uint32_t *word = ld_stack_bottom;
  while (word < ld_stack_top && *word == PAINT) {
    word++;
  }
  return (uint32_t)((uintptr_t)ld_stack_top - (uintptr_t)word);
}
