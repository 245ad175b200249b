/* SPDX-License-Identifier: Apache-2.0 */
/* Counts the instructions of every layer on QEMU's STM32F405, run with -icount: TIM2 counts nanoseconds, and
 * one instruction takes one. Included before the models, for the hook that they call after each layer; those
 * are run by RUN_ALL, which is defined after this file. */
#include <stdint.h>

#define TIM2_CNT (*(volatile uint32_t *)0x40000024u)

/* Time before the first layer of each model and after every layer, in the order in which they run. */
static uint32_t marks[MARKS];
static uint32_t marked;

__attribute__((noinline)) static void mark(void) { marks[marked++] = TIM2_CNT; }

#define AOT_AFTER_LAYER(index, data, bytes) mark()

enum { SYS_OPEN = 0x01, SYS_WRITE = 0x05, SYS_EXIT = 0x18, ADP_STOPPED_APPLICATION_EXIT = 0x20026 };

static uint32_t semihost(uint32_t operation, const void *argument) {
  register uint32_t r0 __asm__("r0") = operation;
  register const void *r1 __asm__("r1") = argument;
  __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
  return r0;
}

static void run(int8_t *input, uint32_t input_bytes, void (*invoke)(void)) {
  /* Any values do: only SOFTMAX takes a way that depends on them. */
  uint32_t random = 1;
  for (uint32_t i = 0; i < input_bytes; ++i) {
    random = random * 1664525u + 1013904223u;
    input[i] = (int8_t)(uint8_t)(random >> 24);
  }
  mark();
  invoke();
}

static void run_all(void);

void reset(void) {
  static const char terminal[] = ":tt";
  /* Mode 4 is "w": the terminal's standard output. */
  const uint32_t path[3] = {(uint32_t)terminal, 4, sizeof terminal - 1};
  *(volatile uint32_t *)0xE000ED88u |= 0xFu << 20; /* CPACR: the compiler may keep values in the FPU */
  *(volatile uint32_t *)0x40023840u |= 1u;         /* RCC_APB1ENR: TIM2 */
  *(volatile uint32_t *)0x4000002Cu = 0xFFFFFFFFu; /* TIM2_ARR */
  *(volatile uint32_t *)0x40000000u = 1u;          /* TIM2_CR1: counts */
  /* What lies between two marks without a layer. */
  mark();
  mark();
  run_all();
  {
    const uint32_t content[3] = {semihost(SYS_OPEN, path), (uint32_t)marks, 4 * marked};
    (void)semihost(SYS_WRITE, content);
  }
  (void)semihost(SYS_EXIT, (const void *)ADP_STOPPED_APPLICATION_EXIT);
}

static void fault(void) {
  (void)semihost(SYS_EXIT, (const void *)0);
  for (;;) {
  }
}

/* QEMU has 128 KB of RAM here at least, and 1 MB of flash. */
__attribute__((section(".vectors"), used)) static void (*const vectors[])(void) = {
    (void (*)(void))0x20020000, reset, fault, fault, fault, fault, fault};
