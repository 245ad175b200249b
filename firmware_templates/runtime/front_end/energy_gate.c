/* SPDX-License-Identifier: Apache-2.0 */
#include "energy_gate.h"

#include "front_end_config.h"

static struct {
  uint32_t threshold;
  uint32_t hops_wanted;
  int32_t sum;      /* of the samples of the hop that is under way: less than 2^25 */
  uint64_t squares; /* of the same: less than 2^40 */
  uint32_t count;   /* of the same */
  uint32_t power;   /* of the hop before */
  uint32_t loud;    /* how many of `is_loud` are 1 */
  uint32_t next;    /* where the next hop goes, over the oldest */
} gate;

/* Of the newest hops. */
static uint8_t is_loud[FRONT_END_FRAMES];

void energy_gate_start(uint32_t power, uint32_t hops) {
  gate.threshold = power;
  gate.hops_wanted = hops;
  gate.sum = 0;
  gate.squares = 0;
  gate.count = 0;
  gate.power = 0;
  gate.loud = 0;
  gate.next = 0;
  for (uint32_t i = 0; i < FRONT_END_FRAMES; i++) {
    is_loud[i] = 0;
  }
}

static void end_hop(void) {
  const uint64_t hop = FRONT_END_HOP;
  const uint64_t square_of_sum = (uint64_t)((int64_t)gate.sum * gate.sum);
  gate.power = (uint32_t)((hop * gate.squares - square_of_sum) / (hop * hop));
  gate.loud -= is_loud[gate.next];
  is_loud[gate.next] = gate.power >= gate.threshold;
  gate.loud += is_loud[gate.next];
  gate.next = gate.next + 1u < FRONT_END_FRAMES ? gate.next + 1u : 0u;
  gate.sum = 0;
  gate.squares = 0;
  gate.count = 0;
}

void energy_gate_push(const int16_t *samples, uint32_t count) {
  for (uint32_t i = 0; i < count; i++) {
    const int32_t sample = samples[i];
    gate.sum += sample;
    gate.squares += (uint32_t)(sample * sample);
    if (++gate.count == FRONT_END_HOP) {
      end_hop();
    }
  }
}

int energy_gate_is_open(void) { return gate.loud >= gate.hops_wanted; }

uint32_t energy_gate_power(void) { return gate.power; }
