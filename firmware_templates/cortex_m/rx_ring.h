/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes on their way from the receive interrupt to the main loop. */
#ifndef RX_RING_H
#define RX_RING_H

#include <stdint.h>

void rx_ring_put(uint8_t byte); /* interrupt only; a byte that finds the ring full is lost and counted */
void rx_ring_count_loss(void);  /* interrupt only; a byte was lost before it could be read */

#endif
