/* SPDX-License-Identifier: Apache-2.0 */
#include "audio_ring.h"

#if (AUDIO_RING_SAMPLES & (AUDIO_RING_SAMPLES - 1u)) != 0
#error "AUDIO_RING_SAMPLES must be a power of two"
#endif

/* Each counter has one writer: the producer `head` and the losses, the consumer `tail`. They run freely; head - tail
 * samples wait. Release and acquire keep the samples on the right side of the counter that tells of them. */
static struct {
  int16_t samples[AUDIO_RING_SAMPLES];
  uint32_t head, tail;
  uint32_t lost_blocks, lost_samples;
} ring;

static uint32_t read_counter(const uint32_t *counter) { return __atomic_load_n(counter, __ATOMIC_ACQUIRE); }

static void write_counter(uint32_t *counter, uint32_t value) {
  __atomic_store_n(counter, value, __ATOMIC_RELEASE);
}

void audio_ring_clear(void) {
  write_counter(&ring.head, 0);
  write_counter(&ring.tail, 0);
  write_counter(&ring.lost_blocks, 0);
  write_counter(&ring.lost_samples, 0);
}

void audio_ring_put(const int16_t *samples, uint32_t count) {
  const uint32_t head = ring.head;
  if (count > AUDIO_RING_SAMPLES - (head - read_counter(&ring.tail))) {
    write_counter(&ring.lost_blocks, ring.lost_blocks + 1u);
    write_counter(&ring.lost_samples, ring.lost_samples + count);
    return;
  }
  for (uint32_t i = 0; i < count; i++) {
    ring.samples[(head + i) % AUDIO_RING_SAMPLES] = samples[i];
  }
  write_counter(&ring.head, head + count);
}

uint32_t audio_ring_waiting(void) { return read_counter(&ring.head) - ring.tail; }

uint32_t audio_ring_take(int16_t *dst, uint32_t max) {
  const uint32_t waiting = audio_ring_waiting();
  const uint32_t count = waiting < max ? waiting : max;
  const uint32_t tail = ring.tail;
  for (uint32_t i = 0; i < count; i++) {
    dst[i] = ring.samples[(tail + i) % AUDIO_RING_SAMPLES];
  }
  write_counter(&ring.tail, tail + count);
  return count;
}

uint32_t audio_ring_lost_blocks(void) { return read_counter(&ring.lost_blocks); }

uint32_t audio_ring_lost_samples(void) { return read_counter(&ring.lost_samples); }
