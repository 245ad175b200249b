/* SPDX-License-Identifier: Apache-2.0 */
#include "PDM.h"

#define MOST_BYTES 2048u

/* CMSDK timer 0, interrupt 8: counts down from RELOAD at 25 MHz. */
struct Timer {
  volatile uint32_t control, value, reload, interrupt;
};
#define TIMER (reinterpret_cast<Timer *>(0x40000000u))
#define TIMER_RUNS 1u
#define TIMER_INTERRUPTS 8u
#define NVIC_ISER (*reinterpret_cast<volatile uint32_t *>(0xE000E100u))
#define NVIC_ICER (*reinterpret_cast<volatile uint32_t *>(0xE000E180u))
#define INTERRUPT (1u << 8)

struct Heard {
  uint32_t ticks, samples;
  int16_t pcm[1];
};
#define HEARD (reinterpret_cast<const Heard *>(0x21000000u))

PDMClass PDM;

static struct {
  void (*callback)(void);
  uint32_t size = 512; /* DEFAULT_PDM_BUFFER_SIZE */
  uint32_t at;         /* samples that it has heard */
  uint32_t blocks;
  uint8_t on;
  int16_t block[MOST_BYTES / 2];
  uint32_t length, offset; /* bytes of the block, and how many of them were read */
} microphone;

static void switch_off(void) {
  TIMER->control = 0;
  NVIC_ICER = INTERRUPT;
  microphone.on = 0;
}

extern "C" void microphone_interrupt(void) {
  TIMER->interrupt = 1;
  if (microphone.offset < microphone.length) {
    switch_off();
    return;
  }
  for (uint32_t i = 0; i < microphone.size / 2; i++, microphone.at++) {
    microphone.block[i] = microphone.at < HEARD->samples ? HEARD->pcm[microphone.at] : (int16_t)0;
  }
  microphone.blocks++;
  microphone.length = microphone.size;
  microphone.offset = 0;
  if (microphone.callback != nullptr) {
    microphone.callback();
  }
}

int PDMClass::begin(int channels, int sampleRate) {
  if (channels != 1 || sampleRate != 16000) {
    return 0;
  }
  microphone.at = 0;
  microphone.length = 0;
  microphone.offset = 0;
  microphone.on = 1;
  TIMER->value = HEARD->ticks;
  TIMER->reload = HEARD->ticks;
  TIMER->control = TIMER_RUNS | TIMER_INTERRUPTS;
  NVIC_ISER = INTERRUPT;
  return 1;
}

void PDMClass::end(void) { switch_off(); }

int PDMClass::available(void) { return (int)(microphone.length - microphone.offset); }

int PDMClass::read(void *buffer, size_t size) {
  uint8_t *const to = static_cast<uint8_t *>(buffer);
  const uint8_t *const from = reinterpret_cast<const uint8_t *>(microphone.block) + microphone.offset;
  const size_t left = (size_t)available();
  const size_t count = size < left ? size : left;
  for (size_t i = 0; i < count; i++) {
    to[i] = from[i];
  }
  microphone.offset += (uint32_t)count;
  return (int)count;
}

void PDMClass::onReceive(void (*function)(void)) { microphone.callback = function; }

void PDMClass::setBufferSize(int bufferSize) { microphone.size = (uint32_t)bufferSize; }

uint32_t microphone_blocks(void) { return microphone.blocks; }

uint32_t microphone_is_on(void) { return microphone.on; }
