/* SPDX-License-Identifier: Apache-2.0 */
/* Which maps of a stream are wanted: the first when all of its rows are of the stream, then one every so many
 * hops. Each is that of the newest rows, front_end_map(); a row is computed once, however many maps have it. */
#ifndef MCU_SER_SLIDING_WINDOW_H
#define MCU_SER_SLIDING_WINDOW_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A stream begins, of which the front end and the energy gate (energy_gate_start()) hear each sample.
 * `period` >= 1 are the hops from one map to the next. */
void sliding_window_start(uint32_t period);

/* Takes samples up to where a map is due, and returns how many: the caller comes again with the rest. Sets `due`
 * to 1 if one is due now, else to 0. */
uint32_t sliding_window_push(const int16_t *samples, uint32_t count, int *due);

/* Rows since the start. */
uint32_t sliding_window_rows(void);

#ifdef __cplusplus
}
#endif
#endif
