/* SPDX-License-Identifier: Apache-2.0 */
/* Source: Armv7-M Architecture Reference Manual (DDI 0403), B2.2.7 and B4.8. */
#include "caches.h"

#include <stdint.h>

#include "cortex_m.h"
#include "linker.h"

#define LINE_BYTES 32u /* Cortex-M7 Technical Reference Manual (DDI 0489), 5.1 */

/* DCISW takes the way in the uppermost bits and the set above the bits of an address within a line. */
static void invalidate_data_cache(void) {
  SCB_CSSELR = SCB_CSSELR_L1_DATA;
  cpu_synchronize();
  const uint32_t size = SCB_CCSIDR;
  const uint32_t set_shift = (size & 7u) + 4u; /* log2 of the bytes of a line */
  const uint32_t last_way = size >> 3 & 0x3FFu;
  const uint32_t last_set = size >> 13 & 0x7FFFu;
  const uint32_t way_shift = last_way == 0u ? 0u : (uint32_t)__builtin_clz(last_way);
  for (uint32_t set = 0; set <= last_set; set++) {
    for (uint32_t way = 0; way <= last_way; way++) {
      SCB_DCISW = way << way_shift | set << set_shift;
    }
  }
}

void caches_enable(void) {
  SCB_ICIALLU = 0;
  invalidate_data_cache();
  cpu_synchronize();
  SCB_CCR |= SCB_CCR_IC | SCB_CCR_DC;
  cpu_synchronize();
}

void caches_save_noinit(void) {
  const uint32_t start = (uint32_t)(uintptr_t)ld_noinit_start & ~(LINE_BYTES - 1u);
  const uint32_t end = (uint32_t)(uintptr_t)ld_noinit_end;
  cpu_synchronize();
  for (uint32_t line = start; line < end; line += LINE_BYTES) {
    SCB_DCCMVAC = line;
  }
  cpu_synchronize();
}
