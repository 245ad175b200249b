/* SPDX-License-Identifier: Apache-2.0 */
/* CRC-32/ISO-HDLC: reflected polynomial 0xEDB88320, initial value and final XOR 0xFFFFFFFF;
 * the CRC of "123456789" is 0xCBF43926. */
#ifndef MCU_SER_CRC32_H
#define MCU_SER_CRC32_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* CRC of `length` more bytes after bytes whose CRC is `crc`; start with 0. */
uint32_t crc32_update(uint32_t crc, const void *data, size_t length);

#ifdef __cplusplus
}
#endif
#endif
