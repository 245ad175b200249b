/* SPDX-License-Identifier: Apache-2.0 */
/* The ring between two threads: one puts blocks of consecutive numbers, as a microphone's interrupt would, and does
 * not wait; the other takes them. What arrives must be whole blocks in order, and with what was lost be all.
 * Prints the samples that were put, taken and lost, and the lost blocks. */
#define _POSIX_C_SOURCE 200809L
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

#include "audio_ring.h"

#define SAMPLES 400000u

static uint32_t done;
static uint32_t seen;

/* Blocks of 1 to 64 samples; the first sample of each is its length, the others its number. */
static void *produce(void *unused) {
  int16_t block[64];
  uint32_t put = 0;
  (void)unused;
  /* On a busy machine the other thread may start late. */
  for (uint32_t number = 0; put < SAMPLES || __atomic_load_n(&seen, __ATOMIC_ACQUIRE) <= 1000u; number++) {
    const uint32_t length = 1u + number * 7u % 64u;
    block[0] = (int16_t)length;
    for (uint32_t i = 1; i < length; i++) {
      block[i] = (int16_t)(number % 30000u);
    }
    audio_ring_put(block, length);
    put += length;
    if (number % 8u == 0) {
      (void)sched_yield();
    }
  }
  __atomic_store_n(&done, put, __ATOMIC_RELEASE);
  return NULL;
}

static void require(int condition, const char *what) {
  if (!condition) {
    printf("%s\n", what);
    exit(1);
  }
}

/* Judges one sample after the other. */
static void judge(int16_t sample) {
  static uint32_t left;
  static int16_t number = -1, first = 1;
  if (left == 0) {
    require(sample >= 1 && sample <= 64, "no start of a block");
    left = (uint32_t)sample - 1u;
    first = 1;
    return;
  }
  if (first) {
    require(sample > number || number > 20000, "a block out of order");
    number = sample;
    first = 0;
  }
  require(sample == number, "a mixed block");
  left--;
}

int main(void) {
  pthread_t producer;
  uint32_t taken = 0;
  audio_ring_clear();
  require(pthread_create(&producer, NULL, produce, NULL) == 0, "no thread");
  for (uint32_t turn = 0;; turn++) {
    int16_t samples[37];
    const uint32_t ended = __atomic_load_n(&done, __ATOMIC_ACQUIRE);
    const uint32_t count = audio_ring_take(samples, 1u + turn % 37u);
    for (uint32_t i = 0; i < count; i++) {
      judge(samples[i]);
    }
    taken += count;
    __atomic_store_n(&seen, taken, __ATOMIC_RELEASE);
    if (count == 0 && ended != 0) {
      break;
    }
  }
  (void)pthread_join(producer, NULL);
  printf("%u %u %u %u\n", (unsigned)done, (unsigned)taken, (unsigned)audio_ring_lost_samples(),
         (unsigned)audio_ring_lost_blocks());
  return 0;
}
