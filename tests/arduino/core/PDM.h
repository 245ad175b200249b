/* SPDX-License-Identifier: Apache-2.0 */
/* A stand-in for the core's PDM library, with its trap: if the sketch does not read a block before the next is
 * complete, the microphone is switched off without a word (ArduinoCore-mbed 4.6.0, libraries/PDM, nrf52).
 *
 * What it hears lies at 0x21000000: timer ticks of 40 ns per block, number of samples, samples; then silence. */
#ifndef STAND_IN_PDM_H
#define STAND_IN_PDM_H

#include <stddef.h>
#include <stdint.h>

class PDMClass {
 public:
  int begin(int channels, int sampleRate);
  void end(void);
  int available(void);
  int read(void *buffer, size_t size);
  void onReceive(void (*function)(void));
  void setBufferSize(int bufferSize);
};
extern PDMClass PDM;

/* Of the stand-in's core. */
extern "C" void microphone_interrupt(void);
uint32_t microphone_blocks(void);
uint32_t microphone_is_on(void);

#endif
