/* SPDX-License-Identifier: Apache-2.0 */
/* Steps that a Cortex-M with DSP instructions does in one or two of them, each beside the same step in
 * portable C with equal bytes. Inline assembly, because compilers do not form these instructions from C and
 * older toolchains have no header for them.
 *
 * Activations that take part in such steps are "widened": four int8 become two words of two int16 each, the
 * first with elements 0 and 2, the second with elements 1 and 3. That is what SXTB16 makes of a word. */
#ifndef AOT_DSP_H
#define AOT_DSP_H

#include "kernel.h"

/* Without optimisation the compiler leaves too few registers for the assembly. */
#if defined(__ARM_FEATURE_DSP) && defined(__thumb2__) && defined(__OPTIMIZE__) && !defined(AOT_NO_DSP)
#define AOT_DSP 1
#else
#define AOT_DSP 0
#endif

/* A function that is assembly from end to end. Aligned, because addresses relative to the program counter
 * count from a multiple of 4, and functions built for size may start between two. */
#define AOT_NAKED static __attribute__((naked, noinline, unused, aligned(4)))
#define AOT_TEXT_(text) #text
#define AOT_TEXT(text) AOT_TEXT_(text)

/* Calls a naked function with the address of what it reads. It keeps r4 - r11; the compiler, which cannot see
 * into it, is told here what it changes. */
#if AOT_DSP
AOT_INLINE void aot_call(void (*function)(void), const void *argument) {
  register const void *r0 __asm__("r0") = argument;
  __asm__ volatile("blx %1" : "+r"(r0) : "r"(function) : "r1", "r2", "r3", "r12", "lr", "cc", "memory");
}
#endif

/* A word of a scratch buffer, which lies in an array of int8_t. */
typedef uint32_t aot_word __attribute__((may_alias));

/* The lower and upper int16 of a word. */
AOT_INLINE int32_t aot_low(uint32_t word) { return (int16_t)(uint16_t)word; }
AOT_INLINE int32_t aot_high(uint32_t word) { return (int16_t)(uint16_t)(word >> 16); }

AOT_INLINE uint32_t aot_pack(int32_t low, int32_t high) {
  return ((uint32_t)low & 0xffffu) | ((uint32_t)high << 16);
}

/* The lower halves of two words, and the upper halves. */
AOT_INLINE uint32_t aot_pack_low(uint32_t first, uint32_t second) {
#if AOT_DSP
  uint32_t result;
  __asm__("pkhbt %0, %1, %2, lsl #16" : "=r"(result) : "r"(first), "r"(second));
  return result;
#else
  return (first & 0xffffu) | (second << 16);
#endif
}

AOT_INLINE uint32_t aot_pack_high(uint32_t first, uint32_t second) {
#if AOT_DSP
  uint32_t result;
  __asm__("pkhtb %0, %2, %1, asr #16" : "=r"(result) : "r"(first), "r"(second));
  return result;
#else
  return (first >> 16) | (second & 0xffff0000u);
#endif
}

/* Four int8 at any address as one word. */
AOT_INLINE uint32_t aot_load4(const int8_t *bytes) {
  uint32_t word;
  memcpy(&word, bytes, sizeof word);
  return word;
}

/* Bytes 0 and 2 of a word as two int16. */
AOT_INLINE uint32_t aot_widen_even(uint32_t word) {
#if AOT_DSP
  uint32_t result;
  __asm__("sxtb16 %0, %1" : "=r"(result) : "r"(word));
  return result;
#else
  return aot_pack((int8_t)(uint8_t)word, (int8_t)(uint8_t)(word >> 16));
#endif
}

/* Bytes 1 and 3 of a word as two int16. */
AOT_INLINE uint32_t aot_widen_odd(uint32_t word) {
#if AOT_DSP
  uint32_t result;
  __asm__("sxtb16 %0, %1, ror #8" : "=r"(result) : "r"(word));
  return result;
#else
  return aot_widen_even(word >> 8);
#endif
}

/* Bytes 0 and 2 (or 1 and 3) of a word added to two int16; the generator has proven that the sums fit. */
AOT_INLINE uint32_t aot_add_even(uint32_t sums, uint32_t word) {
#if AOT_DSP
  __asm__("sxtab16 %0, %0, %1" : "+r"(sums) : "r"(word));
  return sums;
#else
  return aot_pack(aot_low(sums) + (int8_t)(uint8_t)word, aot_high(sums) + (int8_t)(uint8_t)(word >> 16));
#endif
}

AOT_INLINE uint32_t aot_add_odd(uint32_t sums, uint32_t word) {
#if AOT_DSP
  __asm__("sxtab16 %0, %0, %1, ror #8" : "+r"(sums) : "r"(word));
  return sums;
#else
  return aot_add_even(sums, word >> 8);
#endif
}

/* The int8 nearest to x / 2^shift, rounded down; shift is a constant but in code for size. */
AOT_INLINE int32_t aot_saturate_shifted(int32_t x, int32_t shift) {
#if AOT_DSP && !defined(AOT_FOR_SIZE)
  int32_t result;
  __asm__("ssat %0, #8, %1, asr %2" : "=r"(result) : "r"(x), "I"(shift));
  return result;
#else
  return aot_clamp(x >> shift, INT8_MIN, INT8_MAX);
#endif
}

/* sum + low * low + high * high, modulo 2^32. */
AOT_INLINE uint32_t aot_dual_mac(uint32_t a, uint32_t b, uint32_t sum) {
#if AOT_DSP
  __asm__("smlad %0, %1, %2, %0" : "+r"(sum) : "r"(a), "r"(b));
  return sum;
#else
  return sum + (uint32_t)(aot_low(a) * aot_low(b)) + (uint32_t)(aot_high(a) * aot_high(b));
#endif
}

/* floor((a * b + sum * 2^32) / 2^32); the generator has proven that the result fits. */
AOT_INLINE int32_t aot_high_mac(int32_t a, int32_t b, int32_t sum) {
#if AOT_DSP
  int32_t result;
  __asm__("smmla %0, %1, %2, %3" : "=r"(result) : "r"(a), "r"(b), "r"(sum));
  return result;
#else
  return (int32_t)(((int64_t)a * b >> 32) + sum);
#endif
}

/* round(a * b / 2^32), ties upwards, + sum; the generator has proven that the result fits. */
AOT_INLINE int32_t aot_rounded_high_mac(int32_t a, int32_t b, int32_t sum) {
#if AOT_DSP
  int32_t result;
  __asm__("smmlar %0, %1, %2, %3" : "=r"(result) : "r"(a), "r"(b), "r"(sum));
  return result;
#else
  return (int32_t)((((int64_t)a * b + (INT64_C(1) << 31)) >> 32) + sum);
#endif
}

#if AOT_DSP
/* Sixteen bytes at word addresses of each of two rows. */
#define AOT_WIDEN_FOUR(first, second)             \
  "sxtb16 r4, " first "\n\t"                      \
  "sxtb16 r5, " second "\n\t"                     \
  "sxtb16 r6, " first ", ror #8\n\t"              \
  "sxtb16 r8, " second ", ror #8\n\t"             \
  "stm %[wide]!, {r4, r5, r6, r8}\n\t"
#define AOT_WIDEN_EIGHT                           \
  "ldrd %[a], %[b], [%[first]], #8\n\t"           \
  "ldrd %[c], %[d], [%[second]], #8\n\t"          \
  AOT_WIDEN_FOUR("%[a]", "%[c]")                  \
  AOT_WIDEN_FOUR("%[b]", "%[d]")
#endif

/* Widens `count` bytes (a multiple of 4) of two rows, side by side: word 2 i belongs to the first row, word
 * 2 i + 1 to the second. Returns the end of what it wrote. */
AOT_INLINE aot_word *aot_widen_pair(aot_word *wide, const int8_t *first, const int8_t *second, int32_t count) {
#if AOT_DSP
  uint32_t a, b, c, d;
  if ((((uintptr_t)first | (uintptr_t)second | (uintptr_t)count) & 3u) == 0 && count >= 16) {
    __asm__ volatile(
        "1:\n\t" AOT_WIDEN_EIGHT AOT_WIDEN_EIGHT
        "sub %[count], %[count], #16\n\t"
        "cmp %[count], #16\n\t"
        "bge 1b"
        : [a] "=&r"(a), [b] "=&r"(b), [c] "=&r"(c), [d] "=&r"(d), [first] "+r"(first),
          [second] "+r"(second), [wide] "+r"(wide), [count] "+r"(count)
        :
        : "r4", "r5", "r6", "r8", "cc", "memory");
  }
  for (; count > 0; count -= 4) {
    __asm__ volatile(
        "ldr %[a], [%[first]], #4\n\t"
        "ldr %[b], [%[second]], #4\n\t" AOT_WIDEN_FOUR("%[a]", "%[b]")
        : [a] "=&r"(a), [b] "=&r"(b), [first] "+r"(first), [second] "+r"(second), [wide] "+r"(wide)
        :
        : "r4", "r5", "r6", "r8", "memory");
  }
#else
  for (; count > 0; count -= 4, first += 4, second += 4, wide += 4) {
    const uint32_t a = aot_load4(first), b = aot_load4(second);
    wide[0] = aot_widen_even(a);
    wide[1] = aot_widen_even(b);
    wide[2] = aot_widen_odd(a);
    wide[3] = aot_widen_odd(b);
  }
#endif
  return wide;
}

/* The same for rows at word addresses. */
static AOT_NOINLINE __attribute__((unused)) aot_word *aot_widen_words(aot_word *wide, const int8_t *first, const int8_t *second, int32_t count) {
#if AOT_DSP
  uint32_t a, b, c, d;
  for (; count & 12; count -= 4) {
    __asm__ volatile(
        "ldr %[a], [%[first]], #4\n\t"
        "ldr %[b], [%[second]], #4\n\t" AOT_WIDEN_FOUR("%[a]", "%[b]")
        : [a] "=&r"(a), [b] "=&r"(b), [first] "+r"(first), [second] "+r"(second), [wide] "+r"(wide)
        :
        : "r4", "r5", "r6", "r8", "memory");
  }
  if (count != 0) {
    __asm__ volatile(
        "1:\n\t" AOT_WIDEN_EIGHT AOT_WIDEN_EIGHT
        "subs %[count], %[count], #16\n\t"
        "bne 1b"
        : [a] "=&r"(a), [b] "=&r"(b), [c] "=&r"(c), [d] "=&r"(d), [first] "+r"(first),
          [second] "+r"(second), [wide] "+r"(wide), [count] "+r"(count)
        :
        : "r4", "r5", "r6", "r8", "cc", "memory");
  }
  return wide;
#else
  return aot_widen_pair(wide, first, second, count);
#endif
}

/* Copies `count` words (a multiple of 4) upwards. Returns the end of what it wrote. */
AOT_INLINE aot_word *aot_copy_words(aot_word *to, const aot_word *from, int32_t count) {
#if AOT_DSP
  __asm__ volatile(
      "1: ldm %[from]!, {r4, r5, r6, r8}\n\t"
      "subs %[count], %[count], #4\n\t"
      "stm %[to]!, {r4, r5, r6, r8}\n\t"
      "bne 1b"
      : [from] "+r"(from), [to] "+r"(to), [count] "+r"(count)
      :
      : "r4", "r5", "r6", "r8", "cc", "memory");
  return to;
#else
  for (int32_t i = 0; i < count; ++i) {
    to[i] = from[i];
  }
  return to + count;
#endif
}

/* Widens four bytes of each of `count` rows of two images, `step` bytes apart, as aot_widen_pair() does. */
AOT_INLINE aot_word *aot_widen_columns(aot_word *wide, const int8_t *first, const int8_t *second, int32_t step,
                                       int32_t count) {
#if AOT_DSP
  uint32_t a, b;
  __asm__ volatile(
      "1:\n\t"
      "ldr %[a], [%[first]]\n\t"
      "ldr %[b], [%[second]]\n\t"
      "add %[first], %[first], %[step]\n\t"
      "add %[second], %[second], %[step]\n\t" AOT_WIDEN_FOUR("%[a]", "%[b]")
      "subs %[count], %[count], #1\n\t"
      "bne 1b"
      : [a] "=&r"(a), [b] "=&r"(b), [first] "+r"(first), [second] "+r"(second), [wide] "+r"(wide),
        [count] "+r"(count)
      : [step] "r"(step)
      : "r4", "r5", "r6", "r8", "cc", "memory");
#else
  for (int32_t i = 0; i < count; ++i) {
    wide = aot_widen_pair(wide, first + i * step, second + i * step, 4);
  }
#endif
  return wide;
}

#if AOT_DSP
/* Each byte of a word limited: ssub8 notes which bytes are at least the limit, and sel chooses by that. */
#define AOT_AT_MOST(word) "ssub8 r12, " word ", %[limit]\n\tsel " word ", %[limit], " word "\n\t"
#define AOT_AT_LEAST(word) "ssub8 r12, " word ", %[limit]\n\tsel " word ", " word ", %[limit]\n\t"
#define AOT_LIMIT_WORDS(limit_word)                                                          \
  __asm__ volatile("1: ldm %[values], {r4, r5, r6, r8}\n\t" limit_word("r4") limit_word("r5") \
                   limit_word("r6") limit_word("r8")                                         \
                   "stm %[values]!, {r4, r5, r6, r8}\n\t"                                    \
                   "cmp %[values], %[end]\n\t"                                               \
                   "bne 1b"                                                                  \
                   : [values] "+r"(values)                                                   \
                   : [limit] "r"(limit), [end] "r"(end)                                      \
                   : "r4", "r5", "r6", "r8", "r12", "cc", "memory")

/* The first multiple of 16 of `count` values at a word address, none of them beyond `bound`, which is the
 * greatest or the least. Returns how many that are. */
static AOT_NOINLINE __attribute__((unused)) int32_t aot_limit_words(int8_t *values, int32_t count,
                                                                    int32_t bound, int32_t is_greatest) {
  const int8_t *const end = values + (count & ~15);
  const uint32_t limit = ((uint32_t)bound & 0xffu) * 0x01010101u;
  if (values == end || ((uintptr_t)values & 3u) != 0) {
    return 0;
  }
  if (is_greatest) {
    AOT_LIMIT_WORDS(AOT_AT_MOST);
  } else {
    AOT_LIMIT_WORDS(AOT_AT_LEAST);
  }
  return count & ~15;
}
#else
AOT_INLINE int32_t aot_limit_words(int8_t *values, int32_t count, int32_t bound, int32_t is_greatest) {
  (void)values;
  (void)count;
  (void)bound;
  (void)is_greatest;
  return 0;
}
#endif

/* The activations that the saturation to int8 does not cover, afterwards. */
AOT_INLINE void aot_clamp_all(int8_t *values, int32_t count, int32_t min, int32_t max) {
  int32_t done = count;
  if (min > INT8_MIN) {
    done = aot_limit_words(values, count, min, 0);
  }
  if (max < INT8_MAX) {
    done = aot_limit_words(values, count, max, 1);
  }
  for (int32_t i = done; i < count; ++i) {
    values[i] = (int8_t)aot_clamp(values[i], min, max);
  }
}

#endif
