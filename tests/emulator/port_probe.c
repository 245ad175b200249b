/* SPDX-License-Identifier: Apache-2.0 */
/* Stands in for main.c of an STM32 project, to try the port by itself: one letter in, one line of numbers out. */
#include "port.h"

#include <stddef.h>
#include <stdint.h>

int main(void);

/* Initialised and zeroed data, to see that start-up brought both. */
static volatile uint32_t initialised[3] = {0x11111111u, 0x22222222u, 0x33333333u};
static volatile uint32_t zeroed[3];

static void put_text(const char *text) {
  size_t length = 0;
  while (text[length] != '\0') {
    length++;
  }
  port_write((const uint8_t *)text, length);
}

static void put_number(uint32_t number) {
  char text[] = "00000000 ";
  for (int i = 7; i >= 0; i--, number >>= 4) {
    text[i] = "0123456789abcdef"[number & 15u];
  }
  put_text(text);
}

/* Uses about 80 bytes of stack per turn; the compiler cannot make a loop of it. */
__attribute__((noinline)) static uint32_t recurse(uint32_t depth) {
  volatile uint32_t frame[16];
  frame[depth % 16u] = depth;
  return depth == 0u ? 0u : recurse(depth - 1u) + frame[depth % 16u];
}

static void boot_report(void) {
  struct port_fault fault = {0, 0, 0, 0};
  const int faulted = port_fault_record(&fault);
  put_text("boot ");
  put_number((uint32_t)port_reset_cause());
  put_number((uint32_t)faulted);
  put_number(fault.pc);
  put_number(fault.lr);
  put_number(fault.cfsr);
  put_number(fault.hfsr);
  put_text("\n");
}

/* Executes exactly 4 * turns instructions, and a few around them. */
__attribute__((noinline)) static void spin(uint32_t turns) {
  __asm__ volatile("1:\n\tnop\n\tnop\n\tsubs %0, #1\n\tbne 1b" : "+r"(turns) : : "cc");
}

static void measure(uint32_t turns) {
  const uint32_t before = port_ticks();
  spin(turns);
  put_number(port_ticks() - before);
}

static void wait_for_overruns(uint32_t count) {
  while (port_rx_overruns() < count) {
  }
}

static void obey(uint8_t command) {
  switch (command) {
    case 'b':
      boot_report();
      return;
    case 'd':
      for (int i = 0; i < 3; i++) {
        put_number(initialised[i]);
        put_number(zeroed[i]);
      }
      break;
    case 't':
      put_number((uint32_t)port_tick_source());
      put_number(port_tick_hz());
      put_number(port_core_hz());
      measure(1000);
      measure(100000);
      break;
    case 'T':
      measure(40000000);
      break;
    case 's':
      put_number(port_stack_bytes());
      put_number(port_stack_high_water());
      (void)recurse(20);
      put_number(port_stack_high_water());
      break;
    case 'o': /* leaves the bytes in the ring until ten more than it holds have come */
      put_number(port_rx_buffer_bytes());
      put_text("\n");
      wait_for_overruns(10);
      break;
    case 'n':
      put_number(port_rx_overruns());
      break;
    case 'f': {
      volatile float a = 1.5f;
      volatile float b = a * 3.0f + 0.25f;
      put_number((uint32_t)(b * 100.0f));
      break;
    }
    case '!':
      *(volatile uint32_t *)0xF0000000u = 1u;
      break;
    case 'u':
      __asm__ volatile("udf #0");
      break;
    case 'j':
      ((void (*)(void))(uintptr_t)0x20000000u)();
      break;
    case 'v':
      __asm__ volatile("svc 0");
      break;
    case 'S':
      put_number(recurse(1000000));
      break;
    case 'R':
      port_reset();
      break;
    default:
      port_write(&command, 1);
      return;
  }
  put_text("\n");
}

int main(void) {
  port_init();
  boot_report();
  for (;;) {
    uint8_t commands[64];
    const size_t count = port_read(commands, sizeof commands);
    for (size_t i = 0; i < count; i++) {
      obey(commands[i]);
    }
    if (count == 0u) {
      port_wait();
    }
  }
}
