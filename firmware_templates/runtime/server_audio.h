/* SPDX-License-Identifier: Apache-2.0 */
/* The requests AUDIO, HEAR and FEATURE_MAP, in firmware that was generated with --front-end.
 *
 * AUDIO brings samples, which the front end takes as they come: no clip is kept. HEAR then writes the feature
 * map to the engine's input. The rows of the map stay, so that FEATURE_MAP can read it afterwards. */
#ifndef MCU_SER_SERVER_AUDIO_H
#define MCU_SER_SERVER_AUDIO_H

#include <stddef.h>
#include <stdint.h>

#include "frame.h"

/* What HEAR tells of the features. */
struct audio_features {
  uint32_t crc;   /* CRC-32 of the map */
  uint32_t rows;  /* frames that were computed since the audio began */
  uint32_t ticks; /* what they and the map took; wraps at 2^32 */
};

/* There is no audio any more, and no map to read. */
void audio_forget(void);

/* Samples that have come of the audio that HEAR may ask for. */
uint32_t audio_received(void);

/* Each of the three returns 0, or the `enum error_code` with which the request is to be refused, and its
 * detail. */

/* Carries out AUDIO. */
int audio_take(const struct frame *request, uint32_t *detail);

/* Writes the map of the audio that HEAR announces to the engine's input. A clip is used up by that, a stream
 * goes on. */
int audio_map(const struct frame *request, struct audio_features *features, uint32_t *detail);

/* Carries out FEATURE_MAP, which overwrites the engine's input. Writes at most SERVER_MAX_PAYLOAD bytes to
 * `payload`. */
int audio_read_map(const struct frame *request, uint8_t *payload, size_t *length, uint32_t *detail);

#endif
