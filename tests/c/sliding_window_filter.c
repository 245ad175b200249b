/* SPDX-License-Identifier: Apache-2.0 */
/* Listens to what standard input says: 's' with period, power and hops of the gate starts, 'p' with a number of
 * samples and the samples goes on. Answers each map that is due with the rows so far, whether the gate is open, the
 * power, and the map; and each 'p' with UINT32_MAX. Numbers are uint32_t. */
#include <stdio.h>
#include <stdlib.h>

#include "energy_gate.h"
#include "front_end.h"
#include "sliding_window.h"

static uint32_t number(void) {
  uint32_t value = 0;
  if (fread(&value, sizeof value, 1, stdin) != 1) {
    exit(2);
  }
  return value;
}

static void answer(uint32_t value) { (void)fwrite(&value, sizeof value, 1, stdout); }

static void answer_map(void) {
  static int8_t values[FRONT_END_MAP_BYTES];
  if (front_end_map(values) != 0) {
    exit(4);
  }
  answer(sliding_window_rows());
  answer((uint32_t)energy_gate_is_open());
  answer(energy_gate_power());
  (void)fwrite(values, 1, sizeof values, stdout);
}

static void push(void) {
  const uint32_t count = number();
  /* As long as its content, so that a read beyond is found. */
  int16_t *samples = malloc(count * sizeof *samples + (count == 0));
  if (samples == NULL || fread(samples, sizeof *samples, count, stdin) != count) {
    exit(2);
  }
  for (uint32_t at = 0; at < count;) {
    int due = -1;
    at += sliding_window_push(samples + at, count - at, &due);
    if (due) {
      answer_map();
    }
  }
  answer(UINT32_MAX);
  free(samples);
}

int main(void) {
  for (int command = getchar(); command != EOF; command = getchar()) {
    if (command == 's') {
      const uint32_t period = number();
      const uint32_t power = number();
      energy_gate_start(power, number());
      sliding_window_start(period);
    } else if (command == 'p') {
      push();
    } else {
      return 3;
    }
  }
  return 0;
}
