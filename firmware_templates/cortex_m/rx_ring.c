/* SPDX-License-Identifier: Apache-2.0 */
#include "rx_ring.h"

#include "board_config.h"
#include "uart.h"

#if (BOARD_RX_RING_BYTES & (BOARD_RX_RING_BYTES - 1u)) != 0
#error "BOARD_RX_RING_BYTES must be a power of two"
#endif

/* One writer (the interrupt: ring, head), one reader (the main loop: tail). Both counters run freely; their
 * difference is the number of bytes that wait. Volatile keeps the order of data and counter. */
static volatile uint8_t ring[BOARD_RX_RING_BYTES];
static volatile uint32_t head;
static volatile uint32_t tail;
static volatile uint32_t overruns;

void rx_ring_put(uint8_t byte) {
  if (head - tail == BOARD_RX_RING_BYTES) {
    overruns++;
    return;
  }
  ring[head % BOARD_RX_RING_BYTES] = byte;
  head++;
}

void rx_ring_count_loss(void) { overruns++; }

int uart_has_data(void) { return head != tail; }

size_t uart_read(uint8_t *dst, size_t max) {
  size_t count = 0;
  while (count < max && uart_has_data()) {
    dst[count++] = ring[tail % BOARD_RX_RING_BYTES];
    tail++;
  }
  return count;
}

uint32_t uart_overruns(void) { return overruns; }
