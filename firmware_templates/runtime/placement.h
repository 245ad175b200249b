/* SPDX-License-Identifier: Apache-2.0 */
/* Where the activation arena goes. A platform with several RAM regions names a section of its linker script
 * on the compiler's command line; without one the arena is an ordinary static object. */
#ifndef MCU_SER_PLACEMENT_H
#define MCU_SER_PLACEMENT_H

#ifdef ARENA_SECTION
#define ARENA_PLACEMENT __attribute__((section(ARENA_SECTION)))
#else
#define ARENA_PLACEMENT
#endif

#endif
