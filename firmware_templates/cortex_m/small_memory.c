/* SPDX-License-Identifier: Apache-2.0 */
/* The C library's functions for memory, byte by byte: its own are made for speed and take ten times the code.
 * The linker takes these first. */
#include <stddef.h>

void *memcpy(void *restrict to, const void *restrict from, size_t count);
void *memset(void *to, int value, size_t count);

/* Keeps the compiler from seeing a loop of this file as a call of the function that it is in. */
#define KEEP_LOOP() __asm__ volatile("" ::: "memory")

void *memcpy(void *restrict to, const void *restrict from, size_t count) {
  unsigned char *bytes = to;
  const unsigned char *next = from;
  for (; count != 0; --count) {
    *bytes++ = *next++;
    KEEP_LOOP();
  }
  return to;
}

void *memset(void *to, int value, size_t count) {
  unsigned char *bytes = to;
  for (; count != 0; --count) {
    *bytes++ = (unsigned char)value;
    KEEP_LOOP();
  }
  return to;
}
