/* SPDX-License-Identifier: Apache-2.0 */
#include "sliding_window.h"

#include "energy_gate.h"
#include "front_end.h"

static struct {
  uint32_t period;
  uint32_t rows;
  uint32_t rows_to_go; /* to the next map */
} window;

void sliding_window_start(uint32_t period) {
  window.period = period;
  window.rows = 0;
  window.rows_to_go = FRONT_END_FRAMES;
  front_end_start_stream();
}

uint32_t sliding_window_push(const int16_t *samples, uint32_t count, int *due) {
  const uint32_t to_row = front_end_samples_to_row();
  const uint32_t taken = count < to_row ? count : to_row;
  energy_gate_push(samples, taken);
  *due = 0;
  if (front_end_push(samples, taken) > 0) {
    window.rows++;
    window.rows_to_go--;
    if (window.rows_to_go == 0) {
      window.rows_to_go = window.period;
      *due = 1;
    }
  }
  return taken;
}

uint32_t sliding_window_rows(void) { return window.rows; }
