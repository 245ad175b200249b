/* SPDX-License-Identifier: Apache-2.0 */
/* port.h on a Cortex-M microcontroller. */
#include "port.h"

#include "board_config.h"
#include "boot_record.h"
#include "caches.h"
#include "chip.h"
#include "cortex_m.h"
#include "stack.h"
#include "ticks.h"
#include "uart.h"

static uint32_t core_hz;
static enum port_reset_cause reset_cause;

void port_init(void) {
  boot_record_take();
  reset_cause = chip_reset_cause();
  if (reset_cause == PORT_RESET_UNKNOWN && boot_record_found()) {
    reset_cause = PORT_RESET_SOFTWARE; /* an emulator without reset flags */
  }
  core_hz = chip_start();
}

size_t port_read(uint8_t *dst, size_t max) { return uart_read(dst, max); }

void port_write(const uint8_t *src, size_t length) { uart_write(src, length); }

/* With interrupts off, a byte that arrives between the test and WFI still ends WFI (Armv7-M B1.5.18), and is
 * stored as soon as they are on again. */
void port_wait(void) {
  cpu_disable_interrupts();
  if (!uart_has_data()) {
    cpu_wait_for_interrupt();
  }
  cpu_enable_interrupts();
}

uint32_t port_ticks(void) { return ticks_now(); }

enum port_tick_source port_tick_source(void) { return ticks_source(); }

uint32_t port_tick_hz(void) { return ticks_hz(); }

uint32_t port_core_hz(void) { return core_hz; }

enum port_reset_cause port_reset_cause(void) { return reset_cause; }

void port_reset(void) {
  uart_flush();
  boot_record_leave(NULL);
#if BOARD_CACHES
  caches_save_noinit();
#endif
  cpu_reset();
}

int port_fault_record(struct port_fault *fault) { return boot_record_fault(fault); }

uint32_t port_rx_buffer_bytes(void) { return BOARD_RX_RING_BYTES; }

uint32_t port_rx_overruns(void) { return uart_overruns(); }

uint32_t port_stack_bytes(void) { return stack_bytes(); }

uint32_t port_stack_high_water(void) { return stack_high_water(); }
