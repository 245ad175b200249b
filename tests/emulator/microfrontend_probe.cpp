/* SPDX-License-Identifier: Apache-2.0 */
/* Runs TensorFlow's micro frontend on the emulated STM32F405 as front_end_probe.c runs this project's front
 * end, for tools/bench_front_end.py: the same counter, the same samples. Written as uint32_t: the least and
 * the most instructions of a frame by FrontendProcessSamples, which always reduces noise; those of the same
 * steps without the reduction; the bytes of its state, heap and all; and as uint16_t the values of every frame
 * without the reduction. */
#include <malloc.h>
#include <stdint.h>

extern "C" {
#include "tensorflow/lite/experimental/microfrontend/lib/bits.h"
#include "tensorflow/lite/experimental/microfrontend/lib/frontend.h"
#include "tensorflow/lite/experimental/microfrontend/lib/frontend_util.h"
}

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

static void fault() {
  (void)semihost(SYS_EXIT, nullptr);
  for (;;) {
  }
}

static char heap[48 * 1024] __attribute__((aligned(8)));
static unsigned used;

extern "C" void *_sbrk(int bytes) {
  if (used + static_cast<unsigned>(bytes) > sizeof heap) {
    fault();
  }
  char *const block = heap + used;
  used += static_cast<unsigned>(bytes);
  return block;
}

static FrontendState state;
static const uint16_t *values;

/* FrontendProcessSamples without its call of NoiseReductionApply. */
static void without_noise_reduction(const int16_t *samples, size_t count) {
  size_t taken;
  if (!WindowProcessSamples(&state.window, samples, count, &taken)) {
    fault();
  }
  const int shift = 15 - MostSignificantBit32(static_cast<uint32_t>(state.window.max_abs_output_value));
  FftCompute(&state.fft, state.window.output, shift);
  int32_t *const energy = reinterpret_cast<int32_t *>(state.fft.output);
  FilterbankConvertFftComplexToEnergy(&state.filterbank, state.fft.output, energy);
  FilterbankAccumulateChannels(&state.filterbank, energy);
  uint32_t *const roots = FilterbankSqrt(&state.filterbank, shift);
  const int correction =
      MostSignificantBit32(static_cast<uint32_t>(state.fft.fft_size)) - 1 - (kFilterbankBits / 2);
  values = LogScaleApply(&state.log_scale, roots, state.filterbank.num_channels, correction);
}

static void as_it_is(const int16_t *samples, size_t count) {
  size_t taken;
  if (FrontendProcessSamples(&state, samples, count, &taken).size != MELS) {
    fault();
  }
}

static void measure(void (*frame)(const int16_t *, size_t), uint32_t counts[2]) {
  size_t taken;
  FrontendReset(&state);
  (void)FrontendProcessSamples(&state, probe_samples, WINDOW - HOP, &taken);
  counts[0] = UINT32_MAX;
  counts[1] = 0;
  for (uint32_t at = WINDOW - HOP; at + HOP <= CLIP_SAMPLES; at += HOP) {
    const uint32_t before = TIM2_CNT;
    frame(probe_samples + at, HOP);
    const uint32_t count = TIM2_CNT - before;
    counts[0] = count < counts[0] ? count : counts[0];
    counts[1] = count > counts[1] ? count : counts[1];
  }
}

static void write_bytes(uint32_t output, const void *bytes, uint32_t count) {
  const uint32_t arguments[3] = {output, reinterpret_cast<uint32_t>(bytes), count};
  (void)semihost(SYS_WRITE, arguments);
}

static void write_rows(uint32_t output) {
  size_t taken;
  FrontendReset(&state);
  (void)FrontendProcessSamples(&state, probe_samples, WINDOW - HOP, &taken);
  for (uint32_t at = WINDOW - HOP; at + HOP <= CLIP_SAMPLES; at += HOP) {
    without_noise_reduction(probe_samples + at, HOP);
    write_bytes(output, values, MELS * sizeof *values);
  }
}

extern "C" void reset() {
  static const char terminal[] = ":tt";
  /* Mode 4 is "w": the terminal's standard output. */
  const uint32_t opened[3] = {reinterpret_cast<uint32_t>(terminal), 4, sizeof terminal - 1};
  const uint32_t output = semihost(SYS_OPEN, opened);
  TIM2_ARR = 0xFFFFFFFFu;
  TIM2_EGR = 1;
  TIM2_CR1 = 1;
  FrontendConfig config;
  FrontendFillConfigWithDefaults(&config);
  config.window.size_ms = WINDOW / 16;
  config.window.step_size_ms = HOP / 16;
  config.filterbank.num_channels = MELS;
  config.filterbank.lower_band_limit = MIN_HZ;
  config.filterbank.upper_band_limit = MAX_HZ;
  if (!FrontendPopulateState(&config, &state, 16000)) {
    fault();
  }
  uint32_t counts[5];
  measure(as_it_is, counts);
  measure(without_noise_reduction, counts + 2);
  counts[4] = static_cast<uint32_t>(mallinfo().uordblks) + sizeof state;
  write_bytes(output, counts, sizeof counts);
  write_rows(output);
  (void)semihost(SYS_EXIT, reinterpret_cast<const void *>(ADP_STOPPED_APPLICATION_EXIT));
}

__attribute__((section(".vectors"), used)) static void (*const vectors[])() = {
    reinterpret_cast<void (*)()>(0x20020000), reset, fault, fault, fault, fault, fault};
