/* SPDX-License-Identifier: Apache-2.0 */
/* Emulators model only some of the counters, and read the others as zero without a fault: so each is started
 * and watched before it is believed. */
#include "ticks.h"

#include <stddef.h>

#include "cortex_m.h"

/* More than enough core cycles for any counter here to move, and for SysTick its first reload. */
#define PROBE_TURNS 1000u

static enum port_tick_source source;
static uint32_t source_hz;
static volatile uint32_t *timer_counter;
static volatile uint32_t systick_wraps;

static int counts(volatile uint32_t *counter) {
  const uint32_t before = *counter;
  for (uint32_t turn = 0; turn < PROBE_TURNS; turn++) {
    if (*counter != before) {
      return 1;
    }
  }
  return 0;
}

static int start_dwt(void) {
  DEMCR |= DEMCR_TRCENA;
  DWT_LAR = DWT_LAR_UNLOCK;
  DWT_CYCCNT = 0;
  DWT_CTRL |= DWT_CTRL_CYCCNTENA;
  return counts(&DWT_CYCCNT);
}

static int start_timer(const struct ticks_timer *timer) {
  if (timer == NULL) {
    return 0;
  }
  timer->start();
  timer_counter = timer->counter;
  return counts(timer_counter);
}

static int start_systick(void) {
  SYST_RVR = SYST_MAX;
  SYST_CVR = 0;
  SYST_CSR = SYST_CSR_CLKSOURCE_CORE | SYST_CSR_TICKINT | SYST_CSR_ENABLE;
  return counts(&SYST_CVR);
}

void ticks_systick_interrupt(void) { systick_wraps++; }

/* SysTick counts 24 bits down; its interrupt counts the wraps. Read again if one came in between. */
static uint32_t systick_now(void) {
  uint32_t wraps;
  uint32_t down;
  do {
    wraps = systick_wraps;
    down = SYST_CVR;
  } while (wraps != systick_wraps);
  return wraps * (SYST_MAX + 1u) + (SYST_MAX - down);
}

void ticks_init(uint32_t core_hz, const struct ticks_timer *timer) {
  if (start_dwt()) {
    source = PORT_TICKS_DWT;
    source_hz = core_hz;
  } else if (start_timer(timer)) {
    source = timer->source;
    source_hz = timer->hz;
  } else if (start_systick()) {
    source = PORT_TICKS_SYSTICK;
    source_hz = core_hz;
  } else {
    source = PORT_TICKS_NONE;
    source_hz = 0;
  }
}

uint32_t ticks_now(void) {
  switch (source) {
    case PORT_TICKS_DWT:
      return DWT_CYCCNT;
    case PORT_TICKS_SYSTICK:
      return systick_now();
    case PORT_TICKS_NONE:
      return 0;
    default:
      return *timer_counter;
  }
}

enum port_tick_source ticks_source(void) { return source; }

uint32_t ticks_hz(void) { return source_hz; }
