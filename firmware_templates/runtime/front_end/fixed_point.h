/* SPDX-License-Identifier: Apache-2.0 */
/* Products of two 32-bit numbers of which the upper half is kept, rounded to nearest with ties upwards.
 *
 * Cores with DSP instructions have each as one instruction. It is written out because no compiler finds the
 * rounding forms by itself; FRONT_END_PORTABLE turns that off, for tests of the other path. */
#ifndef MCU_SER_FRONT_END_FIXED_POINT_H
#define MCU_SER_FRONT_END_FIXED_POINT_H

#include <stdint.h>

#if !defined(__GNUC__)
#error "the front end relies on GCC's arithmetic right shift of negative numbers"
#endif

#define FRONT_END_INLINE static inline __attribute__((always_inline))

#if defined(__ARM_FEATURE_DSP) && !defined(FRONT_END_PORTABLE)

/* round(a * b / 2^32) */
FRONT_END_INLINE int32_t high_mul(int32_t a, int32_t b) {
  int32_t product;
  __asm__("smmulr %0, %1, %2" : "=r"(product) : "r"(a), "r"(b));
  return product;
}

/* addend + round(a * b / 2^32) */
FRONT_END_INLINE int32_t high_mul_add(int32_t addend, int32_t a, int32_t b) {
  int32_t sum;
  __asm__("smmlar %0, %1, %2, %3" : "=r"(sum) : "r"(a), "r"(b), "r"(addend));
  return sum;
}

/* minuend + round(-a * b / 2^32) */
FRONT_END_INLINE int32_t high_mul_sub(int32_t minuend, int32_t a, int32_t b) {
  int32_t difference;
  __asm__("smmlsr %0, %1, %2, %3" : "=r"(difference) : "r"(a), "r"(b), "r"(minuend));
  return difference;
}

#else

#define FRONT_END_HALF (INT64_C(1) << 31)

FRONT_END_INLINE int32_t high_mul(int32_t a, int32_t b) {
  return (int32_t)(((int64_t)a * b + FRONT_END_HALF) >> 32);
}

FRONT_END_INLINE int32_t high_mul_add(int32_t addend, int32_t a, int32_t b) {
  return addend + high_mul(a, b);
}

FRONT_END_INLINE int32_t high_mul_sub(int32_t minuend, int32_t a, int32_t b) {
  return minuend + (int32_t)((FRONT_END_HALF - (int64_t)a * b) >> 32);
}

#endif
#endif
