/* SPDX-License-Identifier: Apache-2.0 */
#include "packed_input.h"

#include "protocol_messages.h"

#define VERBATIM ((1u << PACKED_PARAMETER_BITS) - 1u) /* a block whose values are 8 bits each */

/* The stream, most significant bit first. */
struct bits {
  const uint8_t *next, *end;
  uint32_t held;    /* the bits that were read and not taken are the lowest `count` */
  unsigned count;
  uint8_t exhausted; /* more was taken than there is */
};

static uint32_t take(struct bits *bits, unsigned count) {
  while (bits->count < count) {
    uint32_t byte = 0xFFu; /* behind the end: ones, which end a unary number */
    if (bits->next < bits->end) {
      byte = *bits->next++;
    } else {
      bits->exhausted = 1;
    }
    bits->held = bits->held << 8 | byte;
    bits->count += 8;
  }
  bits->count -= count;
  return bits->held >> bits->count & ((1u << count) - 1u);
}

/* The next Rice code (Rice 1979): its quotient as zeros before a one, then its low bits. 256 or more: no value. */
static uint32_t take_code(struct bits *bits, unsigned low_bits) {
  uint32_t quotient = 0;
  if (low_bits == VERBATIM) {
    return take(bits, 8);
  }
  while (take(bits, 1) == 0) {
    if (++quotient > 0xFFu >> low_bits) {
      return 256;
    }
  }
  return quotient << low_bits | take(bits, low_bits);
}

static int before(const int8_t *input, uint32_t at, uint32_t distance) {
  return at < distance ? 0 : input[at - distance];
}

/* The median of left, above and left + above - corner (Weinberger, Seroussi and Sapiro 2000, equation 1). */
static int predicted(const int8_t *input, uint32_t at, const struct packed_neighbours *neighbours) {
  const int left = before(input, at, neighbours->left);
  const int above = before(input, at, neighbours->above);
  const int corner = before(input, at, neighbours->left + neighbours->above);
  const int low = left < above ? left : above;
  const int high = left < above ? above : left;
  if (corner >= high) {
    return low;
  }
  return corner <= low ? high : left + above - corner;
}

int packed_input_decode(int8_t *input, uint32_t offset, uint32_t count,
                        const struct packed_neighbours *neighbours, const uint8_t *stream, size_t length) {
  struct bits bits = {stream, stream + length, 0, 0, 0};
  unsigned low_bits = 0;
  for (uint32_t i = 0; i < count; ++i) {
    uint32_t code, difference;
    if (i % PACKED_BLOCK_VALUES == 0) {
      low_bits = take(&bits, PACKED_PARAMETER_BITS);
    }
    code = take_code(&bits, low_bits);
    if (code > 0xFFu || bits.exhausted) {
      return 0;
    }
    /* 0, 1, 2, 3, ... stand for 0, -1, 1, -2, ...; the sum is modulo 256. */
    difference = code % 2u == 0 ? code / 2u : ~(code / 2u);
    input[offset + i] = (int8_t)(uint8_t)((uint32_t)predicted(input, offset + i, neighbours) + difference);
  }
  /* What is left of the last byte is zeros, and there is no byte more. */
  return bits.next == bits.end && (bits.held & ((1u << bits.count) - 1u)) == 0;
}
