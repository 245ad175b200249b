/* SPDX-License-Identifier: Apache-2.0 */
/* port.h on `Serial` of the Arduino API: USB-CDC on the Nano 33 BLE, a UART on other boards. */
#include <Arduino.h>
#undef abs /* a macro of Arduino.h that no C++ header which uses std::abs survives */

#include "mcu.h"
#include "port.h"

/* USB sends a block in packets of 64 bytes, and no packet of length 0 after a last one that is full: the host
 * would keep that one back until more comes. A block below 64 bytes ends in a short packet, always. */
#define WRITE_BYTES 63u

/* Windows that the host may send ahead. USB makes the host wait while the 256 bytes of the core's buffer are
 * taken: nothing is lost. A UART loses what its buffer does not hold. */
#if defined(SERIAL_CDC)
#define RX_BUFFER_BYTES 2048u
#elif defined(SERIAL_RX_BUFFER_SIZE)
#define RX_BUFFER_BYTES ((uint32_t)SERIAL_RX_BUFFER_SIZE - 1u)
#else
#define RX_BUFFER_BYTES 63u
#endif

/* Not 1200: USB takes that for the wish to enter the boot loader. */
#ifndef PORT_BAUD
#define PORT_BAUD 115200
#endif

void port_init(void) {
  mcu_init();
  /* The core begins USB before setup(). A second begin() of its USBSerial starts one more thread and one more
   * receiver, for good. */
#if !defined(SERIAL_CDC)
  Serial.begin(PORT_BAUD);
#endif
}

size_t port_read(uint8_t *dst, size_t max) {
  size_t length = 0;
  /* available() also takes reception up again after the host has closed the port and opened it. */
  while (length < max && Serial.available() > 0) {
    dst[length++] = (uint8_t)Serial.read();
  }
  return length;
}

void port_write(const uint8_t *src, size_t length) {
  while (length > 0) {
    const size_t sent = Serial.write(src, length < WRITE_BYTES ? length : WRITE_BYTES);
    if (sent == 0) {
      return; /* nobody has the port open: what is left is lost, as on a line that nobody reads */
    }
    src += sent;
    length -= sent;
  }
}

void port_wait(void) { yield(); }

uint32_t port_rx_buffer_bytes(void) { return RX_BUFFER_BYTES; }

/* The Arduino API does not tell; a lost byte shows as a damaged frame. */
uint32_t port_rx_overruns(void) { return 0; }
