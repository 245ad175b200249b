/* SPDX-License-Identifier: Apache-2.0 */
/* Instruction and data cache of Cortex-M7. Nothing here shares memory with a DMA, so they stay on throughout. */
#ifndef CACHES_H
#define CACHES_H

/* Invalidates both caches, whose content after reset is undefined, and turns them on. */
void caches_enable(void);

/* Writes what the caches hold of .noinit to RAM: a reset loses the rest. */
void caches_save_noinit(void);

#endif
