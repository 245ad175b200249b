/* SPDX-License-Identifier: Apache-2.0 */
/* Tells silence from sound, in integers: so much power in so many of the newest hops.
 *
 * The power of a hop is the variance of its FRONT_END_HOP samples, rounded down: 0 to 2^30, where a full-scale
 * square wave has 2^30. A constant that a microphone adds does not count. A hop is loud from a threshold on;
 * the gate is open while enough of the newest FRONT_END_FRAMES whole hops are loud. Those before the first
 * sample are not. */
#ifndef MCU_SER_ENERGY_GATE_H
#define MCU_SER_ENERGY_GATE_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Forgets all samples. `hops` 0: always open. */
void energy_gate_start(uint32_t power, uint32_t hops);

/* Takes samples; how they are divided changes nothing. */
void energy_gate_push(const int16_t *samples, uint32_t count);

int energy_gate_is_open(void);

/* Of the newest whole hop; 0 before there is one. */
uint32_t energy_gate_power(void);

#ifdef __cplusplus
}
#endif
#endif
