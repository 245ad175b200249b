/* SPDX-License-Identifier: Apache-2.0 */
/* Takes apart what INPUT_PACKED carries (PROTOCOL.md, "Packed input"): values of a smooth map, of which only the
 * difference to a prediction travels. Needs no memory: it predicts from what is in place before them. */
#ifndef MCU_SER_PACKED_INPUT_H
#define MCU_SER_PACKED_INPUT_H

#include <stddef.h>
#include <stdint.h>

/* Distances to the neighbours that predict a value, in values; at least 1. */
struct packed_neighbours {
  uint32_t left, above;
};

/* Writes `count` values to `input` from `offset` on; those before `offset` must be in place. Returns 1 if the
 * `length` bytes of `stream` are exactly so many values. If not, returns 0: some of the `count` may be written. */
int packed_input_decode(int8_t *input, uint32_t offset, uint32_t count,
                        const struct packed_neighbours *neighbours, const uint8_t *stream, size_t length);

#endif
