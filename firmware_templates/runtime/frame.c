/* SPDX-License-Identifier: Apache-2.0 */
#include "frame.h"

#include <string.h>

#include "crc32.h"
#include "le_bytes.h"

#define COBS_FULL_BLOCK 0xFFu /* 254 data bytes and no zero after them */

void frame_decoder_init(struct frame_decoder *decoder) { memset(decoder, 0, sizeof *decoder); }

static void start_frame(struct frame_decoder *decoder) {
  decoder->length = 0;
  decoder->block_left = 0;
  decoder->zero_follows = 0;
  decoder->started = 0;
  decoder->overlong = 0;
}

static void keep(struct frame_decoder *decoder, uint8_t byte) {
  if (decoder->length < sizeof decoder->bytes) {
    decoder->bytes[decoder->length++] = byte;
  } else {
    decoder->overlong = 1;
  }
}

static void take_cobs_byte(struct frame_decoder *decoder, uint8_t byte) {
  decoder->started = 1;
  if (decoder->block_left > 0) {
    keep(decoder, byte);
    decoder->block_left--;
    return;
  }
  if (decoder->zero_follows) {
    keep(decoder, 0);
  }
  decoder->block_left = (uint8_t)(byte - 1u);
  decoder->zero_follows = byte != COBS_FULL_BLOCK;
}

/* Fills `frame` if the bytes between two delimiters are one; returns whether they are. */
static int read_frame(const struct frame_decoder *decoder, struct frame *frame) {
  const uint8_t *bytes = decoder->bytes;
  size_t covered;
  if (decoder->overlong || decoder->block_left > 0 ||
      decoder->length < FRAME_HEADER_BYTES + FRAME_CRC_BYTES) {
    return 0;
  }
  covered = decoder->length - FRAME_CRC_BYTES;
  if (crc32_update(0, bytes, covered) != le_get_u32(bytes + covered)) {
    return 0;
  }
  frame->version = bytes[FRAME_AT_VERSION];
  frame->type = bytes[FRAME_AT_TYPE];
  frame->session = le_get_u32(bytes + FRAME_AT_SESSION);
  frame->seq = le_get_u16(bytes + FRAME_AT_SEQ);
  frame->length = le_get_u16(bytes + FRAME_AT_LENGTH);
  frame->payload = bytes + FRAME_HEADER_BYTES;
  return frame->length == covered - FRAME_HEADER_BYTES;
}

enum frame_event frame_decoder_push(struct frame_decoder *decoder, uint8_t byte, struct frame *frame) {
  int whole;
  if (byte != 0) {
    take_cobs_byte(decoder, byte);
    return FRAME_NONE;
  }
  if (!decoder->started) {
    return FRAME_NONE; /* two delimiters in a row are no frame */
  }
  whole = read_frame(decoder, frame);
  if (whole) {
    decoder->frames_ok++;
  } else {
    decoder->frames_bad++;
  }
  start_frame(decoder);
  return whole ? FRAME_GOOD : FRAME_BAD;
}

struct cobs_encoder {
  uint8_t *dst;
  size_t length;  /* bytes written, the open block's code included */
  size_t code_at; /* where the code of the open block goes */
};

static void open_block(struct cobs_encoder *encoder) {
  encoder->code_at = encoder->length;
  encoder->dst[encoder->length++] = 1;
}

static void cobs_append(struct cobs_encoder *encoder, const uint8_t *src, size_t length) {
  for (size_t i = 0; i < length; ++i) {
    /* A full block is closed only when more data comes: the code 0xFF at the very end needs no successor. */
    if (encoder->dst[encoder->code_at] == COBS_FULL_BLOCK) {
      open_block(encoder);
    }
    if (src[i] == 0) {
      open_block(encoder);
    } else {
      encoder->dst[encoder->length++] = src[i];
      encoder->dst[encoder->code_at]++;
    }
  }
}

size_t frame_encode(uint8_t *dst, const struct frame *frame) {
  uint8_t header[FRAME_HEADER_BYTES];
  uint8_t crc_bytes[FRAME_CRC_BYTES];
  struct cobs_encoder encoder = {dst, 0, 0};

  header[FRAME_AT_VERSION] = frame->version;
  header[FRAME_AT_TYPE] = frame->type;
  le_put_u32(header + FRAME_AT_SESSION, frame->session);
  le_put_u16(header + FRAME_AT_SEQ, frame->seq);
  le_put_u16(header + FRAME_AT_LENGTH, frame->length);
  le_put_u32(crc_bytes, crc32_update(crc32_update(0, header, sizeof header), frame->payload, frame->length));

  dst[encoder.length++] = 0; /* ends whatever garbage the receiver holds */
  open_block(&encoder);
  cobs_append(&encoder, header, sizeof header);
  cobs_append(&encoder, frame->payload, frame->length);
  cobs_append(&encoder, crc_bytes, sizeof crc_bytes);
  dst[encoder.length++] = 0;
  return encoder.length;
}
