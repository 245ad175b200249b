/* SPDX-License-Identifier: Apache-2.0 */
/* Symbols of the linker script; their addresses are what matters. */
#ifndef LINKER_H
#define LINKER_H

#include <stdint.h>

extern uint32_t ld_stack_bottom[]; /* lowest word of the stack, first word of its region */
extern uint32_t ld_stack_top[];    /* first word behind the stack */
extern uint32_t ld_noinit_start[];
extern uint32_t ld_noinit_end[];
extern uint32_t ld_data_start[];   /* .data in RAM */
extern uint32_t ld_data_end[];
extern const uint32_t ld_data_load[]; /* .data in flash */
extern uint32_t ld_bss_start[];
extern uint32_t ld_bss_end[];
extern uint32_t ld_arena_start[];
extern uint32_t ld_arena_end[];

#endif
