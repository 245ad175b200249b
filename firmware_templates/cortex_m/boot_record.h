/* SPDX-License-Identifier: Apache-2.0 */
/* What the previous run left for this one, in RAM that a reset does not clear. */
#ifndef BOOT_RECORD_H
#define BOOT_RECORD_H

#include "port.h"

/* Takes over the record of the previous run and clears it. Called once, after .bss is clear. */
void boot_record_take(void);

/* Leaves a record for the next run: a wanted reset (`fault` is NULL) or a fault. */
void boot_record_leave(const struct port_fault *fault);

int boot_record_found(void); /* 1 if the previous run ended by boot_record_leave() and a reset */

/* Fills `fault` and returns 1 if the previous run ended in a fault, else returns 0. */
int boot_record_fault(struct port_fault *fault);

#endif
