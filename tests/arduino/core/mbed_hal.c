/* SPDX-License-Identifier: Apache-2.0 */
/* Names that Mbed OS has taken: the core links the whole archive, so a sketch that defines one of them does not
 * link (mbed-os, targets/TARGET_NORDIC/TARGET_NRF5x/port_api.c). */
void port_init(void);
void port_mode(void);
void port_dir(void);
void port_write(void);
void port_read(void);
void port_pin(void);

void port_init(void) {}
void port_mode(void) {}
void port_dir(void) {}
void port_write(void) {}
void port_read(void) {}
void port_pin(void) {}
