/* SPDX-License-Identifier: Apache-2.0 */
/* Runs the front end on what standard input says: 'c' and a clip's length, 's' for a stream, 'p' and a number
 * of samples and the samples, 'm' for the map. Answers each 'p' with the rows it completed, and each 'm' with
 * the rows there are, the map's result, and the map. Numbers are uint32_t. */
#include <stdio.h>
#include <stdlib.h>

#include "front_end.h"

static uint32_t number(void) {
  uint32_t value = 0;
  if (fread(&value, sizeof value, 1, stdin) != 1) {
    exit(2);
  }
  return value;
}

static void answer(uint32_t value) { (void)fwrite(&value, sizeof value, 1, stdout); }

static void push(void) {
  const uint32_t count = number();
  /* As long as its content, so that a read beyond is found. */
  int16_t *samples = malloc(count * sizeof *samples + (count == 0));
  if (samples == NULL || fread(samples, sizeof *samples, count, stdin) != count) {
    exit(2);
  }
  answer(front_end_push(samples, count));
  free(samples);
}

static void map(void) {
  int8_t *values = calloc(1, FRONT_END_MAP_BYTES);
  if (values == NULL) {
    exit(2);
  }
  answer(front_end_rows());
  answer((uint32_t)front_end_map(values));
  (void)fwrite(values, 1, FRONT_END_MAP_BYTES, stdout);
  free(values);
}

int main(void) {
  for (int command = getchar(); command != EOF; command = getchar()) {
    switch (command) {
      case 'c':
        front_end_start_clip(number());
        break;
      case 's':
        front_end_start_stream();
        break;
      case 'p':
        push();
        break;
      case 'm':
        map();
        break;
      default:
        return 3;
    }
  }
  return 0;
}
