/* SPDX-License-Identifier: Apache-2.0 */
/* Every fault and unexpected exception ends here: the registers are saved for the next run, the chip is
 * reset, and the next HELLO tells the host. */
#ifndef FAULT_H
#define FAULT_H

void fault_entry(void); /* entry of the vector table; does not return */

#endif
