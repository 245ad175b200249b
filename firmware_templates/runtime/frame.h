/* SPDX-License-Identifier: Apache-2.0 */
/* Frames of the serial protocol:
 *   0x00 | COBS(version u8 | type u8 | session u32 | seq u16 | length u16 | payload | crc32 u32) | 0x00
 * Little endian; the CRC-32 covers everything before it. 0x00 occurs nowhere in COBS data, so the decoder
 * finds the next frame behind any garbage. */
#ifndef MCU_SER_FRAME_H
#define MCU_SER_FRAME_H

#include <stddef.h>
#include <stdint.h>

#include "protocol_messages.h"
#include "server_config.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Bytes of a frame before COBS, and at most on the wire: a COBS code per 254 bytes, and both delimiters. */
#define FRAME_BYTES(payload_bytes) (FRAME_HEADER_BYTES + (payload_bytes) + FRAME_CRC_BYTES)
#define FRAME_WIRE_BYTES(payload_bytes) \
  (FRAME_BYTES(payload_bytes) + (FRAME_BYTES(payload_bytes) + 253u) / 254u + 2u)

struct frame {
  uint8_t version;
  uint8_t type; /* enum message_type, or a number that this firmware does not know */
  uint32_t session;
  uint16_t seq;
  uint16_t length;        /* payload bytes, at most SERVER_MAX_PAYLOAD */
  const uint8_t *payload; /* owned by the decoder or the caller of frame_encode() */
};

struct frame_decoder {
  uint8_t bytes[FRAME_BYTES(SERVER_MAX_PAYLOAD)]; /* the frame so far, COBS removed */
  size_t length;
  uint8_t block_left;   /* data bytes that the current COBS block still has */
  uint8_t zero_follows; /* the current COBS block stands for a zero at its end */
  uint8_t started;      /* any byte since the last delimiter */
  uint8_t overlong;     /* the frame does not fit; it is dropped at its delimiter */
  uint32_t frames_ok;
  uint32_t frames_bad;
};

/* Forgets everything, counters included. */
void frame_decoder_init(struct frame_decoder *decoder);

enum frame_event {
  FRAME_NONE, /* the byte ends no frame */
  FRAME_GOOD, /* it ends one whose CRC and length hold: `frame` is valid until the next call */
  FRAME_BAD   /* it ends one that is damaged */
};

/* Takes one received byte. */
enum frame_event frame_decoder_push(struct frame_decoder *decoder, uint8_t byte, struct frame *frame);

/* Writes the wire form of `frame` to `dst`, which has FRAME_WIRE_BYTES(frame->length); returns its length. */
size_t frame_encode(uint8_t *dst, const struct frame *frame);

#ifdef __cplusplus
}
#endif
#endif
