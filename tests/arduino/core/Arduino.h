/* SPDX-License-Identifier: Apache-2.0 */
/* A stand-in for the Arduino API on the Nano 33 BLE: as much of it as a generated sketch calls, with the
 * semantics of its core where they can hurt (ArduinoCore-mbed 4.6.0: cores/arduino/USB, Arduino.h, main.cpp).
 * It runs on QEMU's mps2-an386; core.cpp says what stands for what. */
#ifndef STAND_IN_ARDUINO_H
#define STAND_IN_ARDUINO_H

#include <stddef.h>
#include <stdint.h>

/* What the real Arduino.h, pins_arduino.h and mbed_config.h define. */
#define NRF52840_XXAA 1
#define SERIAL_CDC 1
#define MBED_CONF_RTOS_MAIN_THREAD_STACK_SIZE 32768
#define abs(x) ((x) > 0 ? (x) : -(x))

/* Lights of the Nano 33 BLE, which shine at a low level; other pins are not there. */
#define LOW 0
#define HIGH 1
#define OUTPUT 1
#define LEDR 22
#define LEDG 23
#define LEDB 24

extern "C" {
void pinMode(uint32_t pin, int mode);
void digitalWrite(uint32_t pin, int level);
void delay(unsigned long ms);
void yield(void);
extern uint32_t SystemCoreClock;
void NVIC_SystemReset(void) __attribute__((noreturn));
}

void setup(void);
void loop(void);

/* USB-CDC serial port. */
class UsbSerial {
 public:
  void begin(unsigned long baud);
  int available(void);
  int read(void);
  size_t write(uint8_t byte);
  size_t write(const uint8_t *bytes, size_t length);
  void flush(void) {} /* empty there too */
  operator bool();
};
extern UsbSerial Serial;

/* CMSIS: the trace unit of the core, at its place. QEMU reads it as 0. */
struct CoreDebug_Type {
  uint32_t DHCSR, DCRSR, DCRDR;
  volatile uint32_t DEMCR;
};
struct DWT_Type {
  volatile uint32_t CTRL, CYCCNT;
};
#define CoreDebug (reinterpret_cast<CoreDebug_Type *>(0xE000EDF0u))
#define DWT (reinterpret_cast<DWT_Type *>(0xE0001000u))
#define CoreDebug_DEMCR_TRCENA_Msk (1u << 24)
#define DWT_CTRL_CYCCNTENA_Msk 1u

/* RESETREAS keeps its bits until they are written as 1. */
class ResetReason {
 public:
  operator uint32_t() const { return bits; }
  void operator=(uint32_t ones) { bits &= ~ones; }
  volatile uint32_t bits;
};
struct NRF_POWER_Type {
  ResetReason RESETREAS;
};
extern NRF_POWER_Type power;
#define NRF_POWER (&power)
#define POWER_RESETREAS_RESETPIN_Msk (1u << 0)
#define POWER_RESETREAS_DOG_Msk (1u << 1)
#define POWER_RESETREAS_SREQ_Msk (1u << 2)
#define POWER_RESETREAS_LOCKUP_Msk (1u << 3)
#define POWER_RESETREAS_OFF_Msk (1u << 16)

#endif
