/* SPDX-License-Identifier: Apache-2.0 */
/* Functions whose differences are what the front end takes: a frame, another one, and a map. The test that
 * estimates their cycles puts at least a window and a hop of samples into probe_samples. */
#include <stdint.h>

#include "front_end.h"
#include "probe_samples.h"

static int8_t map[FRONT_END_MAP_BYTES];

void one_frame(void);
void one_frame(void) {
  front_end_start_stream();
  (void)front_end_push(probe_samples, FRONT_END_WINDOW);
}

void two_frames(void);
void two_frames(void) {
  one_frame();
  (void)front_end_push(probe_samples + FRONT_END_WINDOW, FRONT_END_HOP);
}

void one_frame_and_map(void);
void one_frame_and_map(void) {
  one_frame();
  (void)front_end_map(map);
}

void reset(void);
void reset(void) {
  two_frames();
  one_frame_and_map();
}
