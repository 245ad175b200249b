/* SPDX-License-Identifier: Apache-2.0 */
/* What the runtime needs of a board. Each platform directory implements it once (port_<platform>.c). */
#ifndef MCU_SER_PORT_H
#define MCU_SER_PORT_H

#include <stddef.h>
#include <stdint.h>

/* Mbed OS, which is below Arduino's core for the Nano 33 BLE, has C functions of these names in an archive that is
 * linked as a whole (hal/port_api.h). */
#if defined(ARDUINO)
#define port_init mcu_ser_port_init
#define port_read mcu_ser_port_read
#define port_write mcu_ser_port_write
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* Where port_ticks() comes from. The numbers go over the wire in HELLO. */
enum port_tick_source {
  PORT_TICKS_NONE = 0,    /* no working counter: ticks are always 0 */
  PORT_TICKS_DWT = 1,     /* DWT CYCCNT: core cycles */
  PORT_TICKS_TIM2 = 2,    /* STM32 TIM2: timer clock; executed instructions under QEMU -icount shift=0 */
  PORT_TICKS_SYSTICK = 3, /* SysTick: core cycles, extended beyond 24 bits by its interrupt */
  PORT_TICKS_HOST = 4     /* nanoseconds of the host's monotonic clock */
};

/* Why the device started. The numbers go over the wire in HELLO. */
enum port_reset_cause {
  PORT_RESET_UNKNOWN = 0,
  PORT_RESET_POWER_ON = 1,
  PORT_RESET_PIN = 2,
  PORT_RESET_SOFTWARE = 3,
  PORT_RESET_WATCHDOG = 4,
  PORT_RESET_LOW_POWER = 5
};

/* Brings up clocks, serial port and counter. Called once, before anything else of the runtime. */
void port_init(void);

/* Copies at most `max` received bytes to `dst`; returns how many. Never blocks. */
size_t port_read(uint8_t *dst, size_t max);

/* Sends `length` bytes; returns when all are handed to the hardware. */
void port_write(const uint8_t *src, size_t length);

/* Sleeps until a byte may have arrived. May return early. */
void port_wait(void);

/* Free-running counter, wraps at 2^32; differences are valid for less than one wrap. */
uint32_t port_ticks(void);
enum port_tick_source port_tick_source(void);
uint32_t port_tick_hz(void); /* ticks per second, 0 if unknown */
uint32_t port_core_hz(void); /* core clock in Hz as really set up, 0 if unknown */

enum port_reset_cause port_reset_cause(void);
void port_reset(void); /* sends what port_write() took, restarts the device; does not return */

/* The fault that ended the previous run, as the fault handler saved it across the reset.
 * Fills `fault` and returns 1, or returns 0 if the previous run did not end in a fault. A second call
 * answers the same; the record is gone after the next reset without a fault. */
struct port_fault {
  uint32_t pc;   /* stacked program counter: where it happened */
  uint32_t lr;   /* stacked link register: who called */
  uint32_t cfsr; /* Configurable Fault Status Register (Armv7-M B3.2.15) */
  uint32_t hfsr; /* HardFault Status Register (Armv7-M B3.2.16) */
};
int port_fault_record(struct port_fault *fault);

uint32_t port_rx_buffer_bytes(void); /* bytes that can wait for port_read() without loss; at least 600 */
uint32_t port_rx_overruns(void);     /* bytes lost because the receive buffer or the UART was full */
uint32_t port_stack_bytes(void);     /* stack size, 0 if unknown */
uint32_t port_stack_high_water(void); /* most stack bytes ever used, 0 if unknown */

#ifdef __cplusplus
}
#endif
#endif
