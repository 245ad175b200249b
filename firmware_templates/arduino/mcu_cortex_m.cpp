/* SPDX-License-Identifier: Apache-2.0 */
/* mcu.h on a Cortex-M with a data watchpoint and trace unit (Armv7-M C1.8), by the CMSIS names of the core. */
#include <Arduino.h>
#undef abs

#include "mcu.h"
#include "port.h"

/* More than enough core cycles for the counter to move. */
#define PROBE_TURNS 1000u

/* The last byte of an answer lies in the USB buffer when Serial.write() returns. */
#define FLUSH_MS 20

static enum port_tick_source tick_source = PORT_TICKS_NONE;
static enum port_reset_cause reset_cause = PORT_RESET_UNKNOWN;

/* Emulators read the counter as 0, without a fault: it is watched before it is believed. The core starts it for
 * moments of its own and leaves it as it was found. */
static enum port_tick_source start_cycle_counter(void) {
  CoreDebug->DEMCR |= CoreDebug_DEMCR_TRCENA_Msk;
  DWT->CYCCNT = 0;
  DWT->CTRL |= DWT_CTRL_CYCCNTENA_Msk;
  const uint32_t before = DWT->CYCCNT;
  for (uint32_t turn = 0; turn < PROBE_TURNS; turn++) {
    if (DWT->CYCCNT != before) {
      return PORT_TICKS_DWT;
    }
  }
  return PORT_TICKS_NONE;
}

#if defined(NRF52840_XXAA)
/* RESETREAS collects causes until it is cleared (nRF52840 product specification 1.7, 5.3.7.11), and after a pin
 * reset the start-up code clears all but that one (anomaly 136). No bit is power-on or brown-out. */
static enum port_reset_cause take_reset_cause(void) {
  const uint32_t causes = NRF_POWER->RESETREAS;
  NRF_POWER->RESETREAS = causes;
  if ((causes & POWER_RESETREAS_RESETPIN_Msk) != 0) {
    return PORT_RESET_PIN;
  }
  if ((causes & POWER_RESETREAS_DOG_Msk) != 0) {
    return PORT_RESET_WATCHDOG;
  }
  if ((causes & POWER_RESETREAS_SREQ_Msk) != 0) {
    return PORT_RESET_SOFTWARE;
  }
  if ((causes & POWER_RESETREAS_OFF_Msk) != 0) {
    return PORT_RESET_LOW_POWER;
  }
  return causes == 0 ? PORT_RESET_POWER_ON : PORT_RESET_UNKNOWN;
}
#else
static enum port_reset_cause take_reset_cause(void) { return PORT_RESET_UNKNOWN; }
#endif

void mcu_init(void) {
  reset_cause = take_reset_cause();
  tick_source = start_cycle_counter();
}

uint32_t port_ticks(void) { return tick_source == PORT_TICKS_DWT ? DWT->CYCCNT : 0u; }

enum port_tick_source port_tick_source(void) { return tick_source; }

uint32_t port_tick_hz(void) { return tick_source == PORT_TICKS_DWT ? SystemCoreClock : 0u; }

uint32_t port_core_hz(void) { return SystemCoreClock; }

enum port_reset_cause port_reset_cause(void) { return reset_cause; }

void port_reset(void) {
  delay(FLUSH_MS);
  NVIC_SystemReset();
}

/* The core's fault handler stops the board and keeps no record. */
int port_fault_record(struct port_fault *fault) {
  (void)fault;
  return 0;
}

/* Stack of the thread that runs setup() and loop(). */
uint32_t port_stack_bytes(void) {
#if defined(MBED_CONF_RTOS_MAIN_THREAD_STACK_SIZE)
  return MBED_CONF_RTOS_MAIN_THREAD_STACK_SIZE;
#else
  return 0;
#endif
}

uint32_t port_stack_high_water(void) { return 0; }
