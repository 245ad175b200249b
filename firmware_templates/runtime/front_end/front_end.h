/* SPDX-License-Identifier: Apache-2.0 */
/* The acoustic front end: 16-bit samples at 16 kHz in, the int8 input of the model out. Integers alone, so
 * every compiler and core gives the bytes that the host computes. No heap; all calls are from the main loop.
 *
 * Samples come in blocks of any size; how they are divided changes nothing. Each FRONT_END_HOP of them cost
 * one frame, whose row of levels goes into a ring of FRONT_END_FRAMES rows; no row is computed twice. */
#ifndef MCU_SER_FRONT_END_H
#define MCU_SER_FRONT_END_H

#include <stdint.h>

#include "front_end_config.h"

#define FRONT_END_MAP_BYTES (FRONT_END_FRAMES * FRONT_END_MELS)

#ifdef __cplusplus
extern "C" {
#endif

/* A stream without end begins; the map is that of the newest rows. Former samples and rows are gone. */
void front_end_start_stream(void);

/* A clip of `samples` >= 1 samples begins: of too many rows the middle ones are kept, and a clip shorter than
 * a window is followed by zeros. Samples beyond its end are ignored. Former samples and rows are gone. */
void front_end_start_clip(uint32_t samples);

/* Takes samples; returns how many rows they completed. */
uint32_t front_end_push(const int16_t *samples, uint32_t count);

/* How many samples of a stream complete its next row. */
uint32_t front_end_samples_to_row(void);

/* Rows in the ring, 0 to FRONT_END_FRAMES. */
uint32_t front_end_rows(void);

/* Writes FRONT_END_MAP_BYTES, rows from old to new; fewer rows than the map has are repeated from the oldest.
 * The rows stay. Returns 0, or -1 and writes nothing when there is no row yet. */
int front_end_map(int8_t *map);

#ifdef __cplusplus
}
#endif
#endif
