/* SPDX-License-Identifier: Apache-2.0 */
/* Runs models on an emulated Cortex-M4 without any board support: the vector table, and semihosting calls
 * that write the outputs to the emulator's standard output. The test puts the models and their inputs before
 * this file, and RUN_ALL, which calls run() once per sample. */

enum { SYS_OPEN = 0x01, SYS_WRITE = 0x05, SYS_EXIT = 0x18, ADP_STOPPED_APPLICATION_EXIT = 0x20026 };

static uint32_t semihost(uint32_t operation, const void *argument) {
  register uint32_t r0 __asm__("r0") = operation;
  register const void *r1 __asm__("r1") = argument;
  __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
  return r0;
}

static uint32_t standard_output;

static void write_bytes(const int8_t *bytes, uint32_t count) {
  const uint32_t arguments[3] = {standard_output, (uint32_t)bytes, count};
  (void)semihost(SYS_WRITE, arguments);
}

static void run(int8_t *input, const int8_t *sample, uint32_t input_bytes, void (*invoke)(void),
                const int8_t *output, uint32_t output_bytes) {
  memcpy(input, sample, input_bytes);
  invoke();
  write_bytes(output, output_bytes);
}

void reset(void) {
  static const char terminal[] = ":tt";
  *(volatile uint32_t *)0xE000ED88u |= 0xFu << 20; /* CPACR: the compiler may keep values in the FPU */
  __asm__ volatile("dsb\n\tisb" ::: "memory");
  /* Mode 4 is "w": the terminal's standard output. */
  const uint32_t arguments[3] = {(uint32_t)terminal, 4, sizeof terminal - 1};
  standard_output = semihost(SYS_OPEN, arguments);
  RUN_ALL;
  (void)semihost(SYS_EXIT, (const void *)ADP_STOPPED_APPLICATION_EXIT);
}

static void fault(void) {
  (void)semihost(SYS_EXIT, (const void *)0);
  for (;;) {
  }
}

/* mps2-an386 has 4 MB of RAM at 0, where the core looks for its vectors, and 4 MB at 0x20000000. */
__attribute__((section(".vectors"), used)) static void (*const vectors[])(void) = {
    (void (*)(void))0x20400000, reset, fault, fault, fault, fault, fault};
