/* SPDX-License-Identifier: Apache-2.0 */
/* mcu.h on an AVR, for the test that takes the sketch to a real Arduino core: no counter, no cause of a reset. */
#include <Arduino.h>
#undef abs

#include "mcu.h"
#include "port.h"

/* The core's tick is an interrupt of Timer 0, which QEMU does not have. Without any tick QEMU (7.2) can leave an
 * interrupt that came while interrupts were off waiting for ever. So Timer 1 ticks, 1000 times a second. */
EMPTY_INTERRUPT(TIMER1_COMPA_vect)

void mcu_init(void) {
  TCCR1A = 0;
  TCCR1B = _BV(WGM12) | _BV(CS10);
  OCR1A = F_CPU / 1000 - 1;
  TIMSK1 = _BV(OCIE1A);
}

uint32_t port_ticks(void) { return 0; }

enum port_tick_source port_tick_source(void) { return PORT_TICKS_NONE; }

uint32_t port_tick_hz(void) { return 0; }

uint32_t port_core_hz(void) { return F_CPU; }

enum port_reset_cause port_reset_cause(void) { return PORT_RESET_UNKNOWN; }

/* To the reset vector: RAM is set up anew, the serial port by begin(). Serial.flush() waits for a flag that QEMU
 * never sets. */
void port_reset(void) {
  while (Serial.availableForWrite() < SERIAL_TX_BUFFER_SIZE - 1) {
  }
  cli();
  __asm__ volatile("jmp 0");
}

int port_fault_record(struct port_fault *fault) {
  (void)fault;
  return 0;
}

uint32_t port_stack_bytes(void) { return 0; }

uint32_t port_stack_high_water(void) { return 0; }
