/* SPDX-License-Identifier: Apache-2.0 */
/* What a TFLite-Micro library asks of the C library when it was made with checks and texts (any BUILD_TYPE but
 * release): where a failed check ends, and a heap for the formatting of texts that nobody reads. */
#if !defined(ARDUINO)

#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

void *_sbrk(ptrdiff_t increment);

/* There is no heap. */
void *_sbrk(ptrdiff_t increment) {
  (void)increment;
  return (void *)(intptr_t)-1;
}

/* A fault: its handler keeps where it was for the next HELLO and restarts the board. */
void abort(void) {
  for (;;) {
    __builtin_trap();
  }
}

/* What newlib's assert() calls; its own prints, and brings half of stdio. */
void __assert_func(const char *file, int line, const char *function, const char *condition) {
  (void)file;
  (void)line;
  (void)function;
  (void)condition;
  abort();
}

#else
typedef int engine_tflm_libc_is_empty; /* C has no empty files; the core brings all this */
#endif
