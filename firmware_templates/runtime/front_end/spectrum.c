/* SPDX-License-Identifier: Apache-2.0 */
/* The 512 windowed samples are 256 complex points z[n] = x[2n] + j x[2n + 1]; a radix-4 transform with
 * decimation in time gives Z, and X[k] = E[k] + W^k O[k] (W = exp(-2 pi j / 512)) the spectrum of x, where E
 * and O are the conjugate-even and conjugate-odd parts of Z. Word lengths, for 16-bit samples q:
 *
 *   step           value held           bits  how it is rounded
 *   window         2^10 q               26    product of 30 bits, >> 5 (down)
 *   first stage    2^10                 28    sums alone
 *   three stages   2^9, 2^8, 2^7        31    x0 >> 1 (down); twiddle products round(a b / 2^32), ties up
 *   split          2^7 X                31    E >> 1 (down), W O as the twiddle products, their sum exact
 *   whole          X                    24    (2^7 X + 64) >> 7 (nearest, ties up)
 *   power          |X|^2                47    exact
 *
 * Nothing can overflow: no component of a partial transform exceeds the sum of the absolute windowed
 * samples, which for a Hann window is at most 256 * 2^15 q, so 2^30 at the scale of 2^7. */
#include "spectrum.h"

#include "fixed_point.h"
#include "front_end_tables.h"

enum { WINDOW_SHIFT = 5, WHOLE_SHIFT = 7, WHOLE_HALF = 1 << (WHOLE_SHIFT - 1) };

struct point {
  int32_t re;
  int32_t im;
};

/* The powers take the points' place: those of bins k and 256 - k come from the points k and 256 - k. */
static union {
  struct point points[FRONT_END_BINS];
  uint64_t power[FRONT_END_BINS];
} work;

/* Half of x times (cos - j sin). */
FRONT_END_INLINE struct point turned(const struct point *x, const struct front_end_twiddle *by) {
  const int32_t re = x->re;
  const int32_t im = x->im;
  const int32_t cos = by->cos;
  const int32_t sin = by->sin;
  const struct point product = {high_mul_add(high_mul(re, cos), im, sin),
                                high_mul_sub(high_mul(im, cos), re, sin)};
  return product;
}

/* The transform of x0 to x3, to out[0], out[span], out[2 span] and out[3 span]. */
FRONT_END_INLINE void butterfly(struct point *out, uint32_t span, struct point x0, struct point x1,
                                struct point x2, struct point x3) {
  const struct point even_sum = {x0.re + x2.re, x0.im + x2.im};
  const struct point even_difference = {x0.re - x2.re, x0.im - x2.im};
  const struct point odd_sum = {x1.re + x3.re, x1.im + x3.im};
  const struct point odd_difference = {x1.re - x3.re, x1.im - x3.im};
  out[0].re = even_sum.re + odd_sum.re;
  out[0].im = even_sum.im + odd_sum.im;
  out[span].re = even_difference.re + odd_difference.im;
  out[span].im = even_difference.im - odd_difference.re;
  out[2u * span].re = even_sum.re - odd_sum.re;
  out[2u * span].im = even_sum.im - odd_sum.im;
  out[3u * span].re = even_difference.re - odd_difference.im;
  out[3u * span].im = even_difference.im + odd_difference.re;
}

/* Point n of the windowed samples. */
FRONT_END_INLINE struct point windowed(const int16_t *samples, uint32_t n) {
  const int32_t even = samples[2u * n];
  const int32_t odd = samples[2u * n + 1u];
  const struct point point = {(even * front_end_window[2u * n]) >> WINDOW_SHIFT,
                              (odd * front_end_window[2u * n + 1u]) >> WINDOW_SHIFT};
  return point;
}

/* Windows the samples and transforms four points at a time. The later stages want the points in the order
 * of their number's reversed base-4 digits, so that these four lie 64 apart. */
static void first_stage(const int16_t *samples) {
  for (uint32_t group = 0; group < FRONT_END_BINS / 4; group++) {
    const uint32_t n = (group & 3u) << 4 | (group & 12u) | group >> 4;
    butterfly(&work.points[4u * group], 1, windowed(samples, n), windowed(samples, n + 64u),
              windowed(samples, n + 128u), windowed(samples, n + 192u));
  }
}

/* Four transforms of `span` points each become one of 4 `span`, halved. Returns the twiddles after its own. */
FRONT_END_INLINE const struct front_end_twiddle *later_stage(const struct front_end_twiddle *twiddles,
                                                             uint32_t span) {
  for (struct point *first = work.points; first < work.points + FRONT_END_BINS; first += 4u * span) {
    const struct front_end_twiddle *by = twiddles;
    for (struct point *x = first; x < first + span; x++) {
      const struct point x1 = turned(x + span, by);
      const struct point x2 = turned(x + 2u * span, by + 1);
      const struct point x3 = turned(x + 3u * span, by + 2);
      const struct point x0 = {x->re >> 1, x->im >> 1};
      butterfly(x, span, x0, x1, x2, x3);
      by += 3;
    }
  }
  return twiddles + 3u * span;
}

/* |X|^2 of 2^7 X, to which WHOLE_HALF has been added. */
FRONT_END_INLINE uint64_t power_of(int32_t re, int32_t im) {
  const int32_t whole_re = re >> WHOLE_SHIFT;
  const int32_t whole_im = im >> WHOLE_SHIFT;
  return (uint64_t)((int64_t)whole_re * whole_re + (int64_t)whole_im * whole_im);
}

/* The bins k and 256 - k are E + T and the conjugate of E - T, with T = W^k O. */
static void split(void) {
  const struct point zero = work.points[0];
  const struct point middle = work.points[FRONT_END_BINS / 2];
  work.power[0] = power_of(zero.re + zero.im + WHOLE_HALF, 0);
  work.power[FRONT_END_BINS / 2] = power_of(middle.re + WHOLE_HALF, middle.im + WHOLE_HALF);
  const struct front_end_twiddle *by = front_end_split_twiddles;
  for (uint32_t k = 1; k < FRONT_END_BINS / 2; k++) {
    const struct point low = work.points[k];
    const struct point high = work.points[FRONT_END_BINS - k];
    const struct point even = {((low.re + high.re) >> 1) + WHOLE_HALF,
                               ((low.im - high.im) >> 1) + WHOLE_HALF};
    const struct point twice_odd = {low.im + high.im, high.re - low.re};
    const struct point turn = turned(&twice_odd, by++);
    work.power[k] = power_of(even.re + turn.re, even.im + turn.im);
    work.power[FRONT_END_BINS - k] = power_of(even.re - turn.re, even.im - turn.im);
  }
}

const uint64_t *spectrum_power(const int16_t *samples) {
  first_stage(samples);
  const struct front_end_twiddle *twiddles = front_end_stage_twiddles;
  twiddles = later_stage(twiddles, 4);
  twiddles = later_stage(twiddles, 16);
  (void)later_stage(twiddles, 64);
  split();
  return work.power;
}
