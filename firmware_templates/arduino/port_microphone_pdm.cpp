/* SPDX-License-Identifier: Apache-2.0 */
/* port_microphone.h with the PDM library of the core: MP34DT05 or MP34DT06J of the Nano 33 BLE Sense. */
#include <Arduino.h>
#include <PDM.h>
#undef abs /* a macro of Arduino.h that no C++ header which uses std::abs survives */

#include "audio_ring.h"
#include "port_microphone.h"

#define CHANNELS 1
#define SAMPLE_RATE_HZ 16000 /* the library knows this one and 41667 */
#define BLOCK_SAMPLES 256u   /* 16 ms */

/* The first blocks are those of a microphone that is being switched on: a second of them is left out. */
#define SETTLING_BLOCKS 63u

/* Of the interrupt, once the microphone has been started. */
static uint32_t blocks_to_skip;

/* Interrupt. It takes all that there is: the library switches the microphone off, without a word, if anything is left
 * when the next block is complete. */
static void take_block(void) {
  static int16_t samples[BLOCK_SAMPLES];
  const int bytes = PDM.read(samples, sizeof samples);
  if (blocks_to_skip > 0) {
    blocks_to_skip--;
  } else if (bytes > 0) {
    audio_ring_put(samples, (uint32_t)bytes / sizeof samples[0]);
  }
}

int port_microphone_start(void) {
  pinMode(LEDR, OUTPUT);
  pinMode(LEDG, OUTPUT);
  pinMode(LEDB, OUTPUT);
  port_microphone_show(-1);
  blocks_to_skip = SETTLING_BLOCKS;
  PDM.onReceive(take_block);
  PDM.setBufferSize((int)(BLOCK_SAMPLES * sizeof(int16_t)));
  return PDM.begin(CHANNELS, SAMPLE_RATE_HZ) != 0 ? 0 : -1;
}

void port_microphone_stop(void) { PDM.end(); }

/* Red, green, blue, yellow, magenta, cyan, white, and from the start again. The lights are on at a low level. */
void port_microphone_show(int class_index) {
  static const uint8_t colours[] = {1, 2, 4, 3, 5, 6, 7};
  const unsigned colour = class_index < 0 ? 0u : colours[(unsigned)class_index % sizeof colours];
  digitalWrite(LEDR, (colour & 1u) != 0 ? LOW : HIGH);
  digitalWrite(LEDG, (colour & 2u) != 0 ? LOW : HIGH);
  digitalWrite(LEDB, (colour & 4u) != 0 ? LOW : HIGH);
}
