/* SPDX-License-Identifier: Apache-2.0 */
/* Runs the frame codec over cases from stdin, for comparison with the Python codec.
 *
 * A case is `mode u8 | length u32 | bytes`, little endian.
 *   'd': decodes the bytes; answers `frames_ok u32 | frames_bad u32`, and each frame encoded again, as
 *        `length u32 | bytes`.
 *   'e': the bytes are `version u8 | type u8 | session u32 | seq u16 | payload`; answers the encoded frame. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "frame.h"
#include "le_bytes.h"

static void put(const void *data, size_t length) {
  if (fwrite(data, 1, length, stdout) != length) {
    abort();
  }
}

static void put_u32(uint32_t value) {
  uint8_t bytes[4];
  le_put_u32(bytes, value);
  put(bytes, sizeof bytes);
}

static void put_encoded(const struct frame *frame) {
  /* Of exactly the documented size, so that the sanitizer sees a byte too many. */
  uint8_t *wire = malloc(FRAME_WIRE_BYTES(frame->length));
  size_t length = frame_encode(wire, frame);
  put_u32((uint32_t)length);
  put(wire, length);
  free(wire);
}

static void decode(const uint8_t *bytes, size_t length) {
  static struct frame_decoder decoder;
  struct frame frame;
  frame_decoder_init(&decoder);
  for (size_t i = 0; i < length; ++i) {
    if (frame_decoder_push(&decoder, bytes[i], &frame) == FRAME_GOOD) {
      put_encoded(&frame);
    }
  }
  put_u32(0); /* no frame has length 0: the end of the list */
  put_u32(decoder.frames_ok);
  put_u32(decoder.frames_bad);
}

static void encode(const uint8_t *bytes, size_t length) {
  const struct frame frame = {bytes[0],
                              bytes[1],
                              le_get_u32(bytes + 2),
                              le_get_u16(bytes + 6),
                              (uint16_t)(length - 8),
                              bytes + 8};
  put_encoded(&frame);
}

int main(void) {
  uint8_t head[5];
  while (fread(head, 1, sizeof head, stdin) == sizeof head) {
    const size_t length = le_get_u32(head + 1);
    uint8_t *bytes = malloc(length + 1); /* malloc(0) may be NULL */
    if (bytes == NULL || fread(bytes, 1, length, stdin) != length) {
      abort();
    }
    if (head[0] == 'd') {
      decode(bytes, length);
    } else {
      encode(bytes, length);
    }
    free(bytes);
  }
  return 0;
}
