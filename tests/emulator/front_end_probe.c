/* SPDX-License-Identifier: Apache-2.0 */
/* Runs the front end on an emulated STM32F405 without any board support: the vector table, TIM2 as a counter
 * of instructions, and semihosting calls that write to the emulator's standard output. The test puts
 * CLIP_SAMPLES samples into probe_samples, and PRODUCTS pairs of factors into probe_factors. Written: the
 * clip's map, a stream's map from the same samples in blocks of 37, then as uint32_t the least and the most
 * instructions of a hop, and those of a map; then each pair's product, alone, added to and subtracted from
 * the first factor. */
#include <stdint.h>

#include "fixed_point.h"
#include "front_end.h"
#include "probe_samples.h"

enum { SYS_OPEN = 0x01, SYS_WRITE = 0x05, SYS_EXIT = 0x18, ADP_STOPPED_APPLICATION_EXIT = 0x20026 };

#define TIM2_CR1 (*(volatile uint32_t *)0x40000000)
#define TIM2_EGR (*(volatile uint32_t *)0x40000014)
#define TIM2_CNT (*(volatile uint32_t *)0x40000024)
#define TIM2_ARR (*(volatile uint32_t *)0x4000002C)

static uint32_t semihost(uint32_t operation, const void *argument) {
  register uint32_t r0 __asm__("r0") = operation;
  register const void *r1 __asm__("r1") = argument;
  __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
  return r0;
}

static uint32_t standard_output;
static int8_t map[FRONT_END_MAP_BYTES];

static void write_bytes(const void *bytes, uint32_t count) {
  const uint32_t arguments[3] = {standard_output, (uint32_t)bytes, count};
  (void)semihost(SYS_WRITE, arguments);
}

static void fault(void) {
  (void)semihost(SYS_EXIT, (const void *)0);
  for (;;) {
  }
}

static void whole_clip(void) {
  front_end_start_clip(CLIP_SAMPLES);
  (void)front_end_push(probe_samples, CLIP_SAMPLES);
  if (front_end_map(map) != 0) {
    fault();
  }
  write_bytes(map, sizeof map);
}

static void stream_in_blocks(void) {
  front_end_start_stream();
  for (uint32_t at = 0; at < CLIP_SAMPLES; at += 37) {
    (void)front_end_push(probe_samples + at, CLIP_SAMPLES - at < 37 ? CLIP_SAMPLES - at : 37);
  }
  (void)front_end_map(map);
  write_bytes(map, sizeof map);
}

static void measure(void) {
  uint32_t counts[3] = {UINT32_MAX, 0, 0};
  front_end_start_stream();
  (void)front_end_push(probe_samples, FRONT_END_WINDOW - FRONT_END_HOP);
  for (uint32_t at = FRONT_END_WINDOW - FRONT_END_HOP; at + FRONT_END_HOP <= CLIP_SAMPLES; at += FRONT_END_HOP) {
    const uint32_t before = TIM2_CNT;
    const uint32_t rows = front_end_push(probe_samples + at, FRONT_END_HOP);
    const uint32_t count = TIM2_CNT - before;
    if (rows != 1) {
      fault();
    }
    counts[0] = count < counts[0] ? count : counts[0];
    counts[1] = count > counts[1] ? count : counts[1];
  }
  const uint32_t before = TIM2_CNT;
  (void)front_end_map(map);
  counts[2] = TIM2_CNT - before;
  write_bytes(counts, sizeof counts);
}

static void multiply(void) {
  for (uint32_t i = 0; i < PRODUCTS; i++) {
    const int32_t a = probe_factors[i][0];
    const int32_t b = probe_factors[i][1];
    const int32_t results[3] = {high_mul(a, b), high_mul_add(a, a, b), high_mul_sub(a, a, b)};
    write_bytes(results, sizeof results);
  }
}

void reset(void);
void reset(void) {
  static const char terminal[] = ":tt";
  /* Mode 4 is "w": the terminal's standard output. */
  const uint32_t arguments[3] = {(uint32_t)terminal, 4, sizeof terminal - 1};
  standard_output = semihost(SYS_OPEN, arguments);
  TIM2_ARR = 0xFFFFFFFFu;
  TIM2_EGR = 1;
  TIM2_CR1 = 1;
  whole_clip();
  stream_in_blocks();
  measure();
  multiply();
  (void)semihost(SYS_EXIT, (const void *)ADP_STOPPED_APPLICATION_EXIT);
}

__attribute__((section(".vectors"), used)) static void (*const vectors[])(void) = {
    (void (*)(void))0x20020000, reset, fault, fault, fault, fault, fault};
