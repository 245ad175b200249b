/* SPDX-License-Identifier: Apache-2.0 */
/* What all kernels share: how a layer is described, and the arithmetic of TensorFlow Lite's int8
 * specification.
 *
 * Each layer calls its kernel with the address of its own `static const` description. The kernels are inlined
 * into that one call, so that every size, stride and offset is a constant to the compiler. With AOT_FOR_SIZE
 * the compiler decides: most kernels become one function for all layers of their kind.
 * The code generator proves before it emits a layer that no accumulator of that layer can leave int32_t.
 * Tensors are dense, batch 1, channels last; weights are in the order of the .tflite file. */
#ifndef AOT_KERNEL_H
#define AOT_KERNEL_H

#include <stdint.h>
#include <string.h>

#if defined(__GNUC__)
#define AOT_ALWAYS_INLINE static inline __attribute__((always_inline))
#define AOT_NOINLINE __attribute__((noinline))
/* Clang makes no such copies, and does not know the attribute. */
#if defined(__clang__)
#define AOT_NOCLONE
#else
#define AOT_NOCLONE __attribute__((noclone))
#endif
#define AOT_ALIGN(bytes) __attribute__((aligned(bytes)))
#else
#error "the kernels rely on GCC's attributes and on its arithmetic right shift of negative numbers"
#endif

#ifdef AOT_FOR_SIZE
#define AOT_INLINE static inline
#define AOT_SHARED static AOT_NOINLINE __attribute__((unused))
#define AOT_UNROLL(times)
#else
#define AOT_INLINE AOT_ALWAYS_INLINE
#define AOT_SHARED AOT_INLINE /* arithmetic that is long beside the call of a function */
#define AOT_PRAGMA(text) _Pragma(#text)
#define AOT_UNROLL(times) AOT_PRAGMA(GCC unroll times)
#endif

/* A place to write to, of which the compiler does not know what else lies in the same array. GCC 12 would find it
 * from the place that is read, lose what it writes to, and drop the call of a layer as one without effect. */
AOT_ALWAYS_INLINE int8_t *aot_apart(int8_t *place) {
  __asm__("" : "+r"(place));
  return place;
}

/* The generator defines shorter types for the sizes of images, and of windows, in descriptions where all of
 * them fit. */
#ifndef AOT_DIMENSION
#define AOT_DIMENSION int32_t
#endif
#ifndef AOT_TAP
#define AOT_TAP int32_t
#endif
typedef AOT_DIMENSION aot_dimension;
typedef AOT_TAP aot_tap;

struct aot_image {
  aot_dimension height;
  aot_dimension width;
  aot_dimension channels;
};

/* A window that slides over height and width. Taps outside of the image are skipped. */
struct aot_window {
  aot_tap height;
  aot_tap width;
  aot_tap stride_height;
  aot_tap stride_width;
  aot_tap dilation_height;
  aot_tap dilation_width;
  aot_tap pad_top;
  aot_tap pad_left;
};

/* From accumulators to int8:
 * output = clamp(zero_point + accumulator * multiplier * 2^(shift - 31), min, max). */
struct aot_rescale {
  const int32_t *multiplier; /* one, or one per channel; 0 or 2^30 .. 2^31 - 1 */
  const int8_t *shift;       /* as many; -31 .. 30, negative shifts right */
  int32_t per_channel;       /* 1 if there is one multiplier per channel, else 0 */
  int32_t any_left_shift;    /* 0 if no shift is positive, else 1 */
  int32_t zero_point;
  int32_t min;
  int32_t max;
};

/* round(a * b / 2^31), ties upwards; a and b not both INT32_MIN.
 * gemmlowp's SaturatingRoundingDoublingHighMul, which rounds its ties the same way once its sign-dependent
 * nudge and its truncating division are taken together. */
AOT_SHARED int32_t aot_doubling_high_mul(int32_t a, int32_t b) {
  return (int32_t)(((int64_t)a * b + (INT64_C(1) << 30)) >> 31);
}

/* round(x / 2^exponent), ties away from zero; 0 <= exponent <= 31. gemmlowp's RoundingDivideByPOT. */
AOT_SHARED int32_t aot_rounding_shift_right(int32_t x, int32_t exponent) {
  const int32_t mask = (int32_t)((UINT32_C(1) << exponent) - 1u);
  const int32_t remainder = x & mask;
  const int32_t threshold = (mask >> 1) + (x < 0 ? 1 : 0);
  return (x >> exponent) + (remainder > threshold ? 1 : 0);
}

/* x * 2^exponent; the generator has proven that the result fits. */
AOT_INLINE int32_t aot_shift_left(int32_t x, int32_t exponent) {
  return (int32_t)((uint32_t)x << exponent);
}

/* x * 2^exponent, limited to int32_t; exponent > 0. */
AOT_SHARED int32_t aot_saturating_shift_left(int32_t x, int32_t exponent) {
  const int32_t limit = INT32_MAX >> exponent;
  return x > limit ? INT32_MAX : x < -limit - 1 ? INT32_MIN : aot_shift_left(x, exponent);
}

/* x * multiplier * 2^(shift - 31), rounded twice as the specification does. */
AOT_INLINE int32_t aot_scale(int32_t x, int32_t multiplier, int32_t shift) {
  return shift > 0 ? aot_doubling_high_mul(aot_shift_left(x, shift), multiplier)
                   : aot_rounding_shift_right(aot_doubling_high_mul(x, multiplier), -shift);
}

AOT_INLINE int32_t aot_clamp(int32_t x, int32_t min, int32_t max) {
  return x < min ? min : x > max ? max : x;
}

AOT_INLINE int32_t aot_min(int32_t a, int32_t b) { return a < b ? a : b; }
AOT_INLINE int32_t aot_max(int32_t a, int32_t b) { return a > b ? a : b; }

/* The output of one accumulator of one channel. */
AOT_INLINE int8_t aot_rescale(const struct aot_rescale *rescale, int32_t accumulator, int32_t channel) {
  const int32_t at = rescale->per_channel ? channel : 0;
  const int32_t multiplier = rescale->multiplier[at];
  const int32_t shift = rescale->shift[at];
  const int32_t scaled =
      rescale->any_left_shift
          ? aot_scale(accumulator, multiplier, shift)
          : aot_rounding_shift_right(aot_doubling_high_mul(accumulator, multiplier), -shift);
  return (int8_t)aot_clamp(scaled + rescale->zero_point, rescale->min, rescale->max);
}

/* The taps first .. end - 1 of a window whose tap 0 lies at `origin` that fall inside 0 .. size - 1. */
struct aot_taps {
  int32_t first;
  int32_t end;
};

AOT_SHARED struct aot_taps aot_taps_inside(int32_t origin, int32_t taps, int32_t dilation, int32_t size) {
  struct aot_taps inside;
  inside.first = origin < 0 ? (dilation - 1 - origin) / dilation : 0;
  inside.end = aot_min(taps, (size - origin + dilation - 1) / dilation);
  return inside;
}

/* Where the window of one output pixel lies on the input, and which of its taps are inside. */
struct aot_pixel_taps {
  int32_t origin_y;
  int32_t origin_x;
  struct aot_taps rows;
  struct aot_taps columns;
};

AOT_SHARED struct aot_pixel_taps aot_taps_of_pixel(const struct aot_window *window,
                                                   const struct aot_image *input, int32_t out_y,
                                                   int32_t out_x) {
  struct aot_pixel_taps taps;
  taps.origin_y = out_y * window->stride_height - window->pad_top;
  taps.origin_x = out_x * window->stride_width - window->pad_left;
  taps.rows = aot_taps_inside(taps.origin_y, window->height, window->dilation_height, input->height);
  taps.columns = aot_taps_inside(taps.origin_x, window->width, window->dilation_width, input->width);
  return taps;
}

/* Output channels computed side by side, so that an input value is loaded once for all of them. As many
 * accumulators and their weights fit the registers of a Cortex-M. */
#define AOT_BLOCK 4

/* accumulators[k] += sum over i of weights[k * stride + i] * (input[i] + input_offset), for k < channels.
 * channels is a constant of at most AOT_BLOCK: its loops disappear and the accumulators become registers. */
AOT_INLINE void aot_dot(int32_t *accumulators, int32_t channels, const int8_t *weights, int32_t stride,
                        const int8_t *input, int32_t count, int32_t input_offset) {
  for (int32_t i = 0; i < count; ++i) {
    const int32_t value = input[i] + input_offset;
#pragma GCC unroll 4
    for (int32_t k = 0; k < channels; ++k) {
      accumulators[k] += weights[k * stride + i] * value;
    }
  }
}

#endif
