/* SPDX-License-Identifier: Apache-2.0 */
/* Samples on their way from a microphone's interrupt to the main loop. One producer, one consumer, no lock. */
#ifndef MCU_SER_AUDIO_RING_H
#define MCU_SER_AUDIO_RING_H

#include <stdint.h>

#include "model_info.h"

/* A power of two. With a microphone as much as it hears in half a second: the model may take that long. Without
 * one the ring only takes what the host plays, frame by frame. */
#ifndef AUDIO_RING_SAMPLES
#ifdef BOARD_MICROPHONE
#define AUDIO_RING_SAMPLES 8192u
#else
#define AUDIO_RING_SAMPLES 512u
#endif
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* Forgets what waits and what was lost. Only while there is no producer. */
void audio_ring_clear(void);

/* Producer: takes a block as a whole, or loses it as a whole and counts it. */
void audio_ring_put(const int16_t *samples, uint32_t count);

/* Consumer: copies at most `max` samples that wait; returns how many. */
uint32_t audio_ring_take(int16_t *dst, uint32_t max);

/* Consumer: samples that wait. */
uint32_t audio_ring_waiting(void);

/* What did not fit since the ring was cleared. */
uint32_t audio_ring_lost_blocks(void);
uint32_t audio_ring_lost_samples(void);

#ifdef __cplusplus
}
#endif
#endif
