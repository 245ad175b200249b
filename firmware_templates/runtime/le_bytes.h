/* SPDX-License-Identifier: Apache-2.0 */
/* Little-endian integers in byte buffers, at any alignment and on any core. */
#ifndef MCU_SER_LE_BYTES_H
#define MCU_SER_LE_BYTES_H

#include <stdint.h>

static inline void le_put_u16(uint8_t *dst, uint16_t value) {
  dst[0] = (uint8_t)(value & 0xFFu);
  dst[1] = (uint8_t)(value >> 8);
}

static inline void le_put_u32(uint8_t *dst, uint32_t value) {
  le_put_u16(dst, (uint16_t)(value & 0xFFFFu));
  le_put_u16(dst + 2, (uint16_t)(value >> 16));
}

static inline uint16_t le_get_u16(const uint8_t *src) {
  return (uint16_t)(src[0] | ((unsigned)src[1] << 8));
}

static inline uint32_t le_get_u32(const uint8_t *src) {
  return le_get_u16(src) | ((uint32_t)le_get_u16(src + 2) << 16);
}

#endif
