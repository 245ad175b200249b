/* SPDX-License-Identifier: Apache-2.0 */
#include "boot_record.h"

#include <stddef.h>

enum record_kind { RECORD_NONE = 0, RECORD_RESET = 0x52455345, RECORD_FAULT = 0x46415554 };

/* After power-on this RAM holds anything; the check word tells a record from noise. */
struct record {
  uint32_t kind;
  struct port_fault fault;
  uint32_t check;
};

__attribute__((section(".noinit"))) static volatile struct record next_run;
static struct port_fault previous_fault;
static uint32_t previous_kind;

static uint32_t check_word(uint32_t kind, const struct port_fault *fault) {
  return ~(kind + 3u * fault->pc + 5u * fault->lr + 7u * fault->cfsr + 9u * fault->hfsr);
}

void boot_record_take(void) {
  const struct port_fault fault = {next_run.fault.pc, next_run.fault.lr, next_run.fault.cfsr,
                                   next_run.fault.hfsr};
  const uint32_t kind = next_run.kind;
  const int valid = (kind == RECORD_RESET || kind == RECORD_FAULT) &&
                    next_run.check == check_word(kind, &fault);
  previous_kind = valid ? kind : RECORD_NONE;
  previous_fault = fault;
  next_run.kind = RECORD_NONE;
}

void boot_record_leave(const struct port_fault *fault) {
  static const struct port_fault no_fault = {0, 0, 0, 0};
  const uint32_t kind = fault != NULL ? RECORD_FAULT : RECORD_RESET;
  if (fault == NULL) {
    fault = &no_fault;
  }
  next_run.kind = kind;
  next_run.fault.pc = fault->pc;
  next_run.fault.lr = fault->lr;
  next_run.fault.cfsr = fault->cfsr;
  next_run.fault.hfsr = fault->hfsr;
  next_run.check = check_word(kind, fault);
}

int boot_record_found(void) { return previous_kind != RECORD_NONE; }

int boot_record_fault(struct port_fault *fault) {
  if (previous_kind != RECORD_FAULT) {
    return 0;
  }
  *fault = previous_fault;
  return 1;
}
