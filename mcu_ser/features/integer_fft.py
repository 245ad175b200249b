# SPDX-License-Identifier: Apache-2.0
"""The power spectrum of 512 real samples in integers: what spectrum.c of the front end computes, in numpy.

The 512 windowed samples are 256 complex points z[n] = x[2n] + j x[2n + 1]; a radix-4 transform with
decimation in time gives Z, and X[k] = E[k] + W^k O[k] (W = exp(-2 pi j / 512)) the spectrum of x, where E and
O are the conjugate-even and conjugate-odd parts of Z. Word lengths, for 16-bit samples q:

    step            value held           bits  how it is rounded
    window          2^10 q               26    product of 30 bits, >> 5 (down)
    first stage     2^10                 28    sums alone
    three stages    2^9, 2^8, 2^7        31    x0 >> 1 (down); twiddle products round(a b / 2^32), ties up
    split           2^7 X                31    E >> 1 (down), W O as the twiddle products, their sum exact
    whole           X                    24    (2^7 X + 64) >> 7 (nearest, ties up)
    power           |X|^2                47    exact, in 64 bits

Nothing can overflow: no component of a partial transform exceeds the sum of the absolute windowed samples,
which for a Hann window is at most 256 * 2^15 q, so 2^30 at the scale of 2^7; E and O are half of that.
The rounding noise, about 2^-3 of a sample's step in the spectrum, is far below that of the 16-bit samples.

Every array has one column per frame and holds int64, of which the C needs the low 32 bits alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mcu_ser.features.integer_tables import FrontEndTables

    Complex = tuple[NDArray[np.int64], NDArray[np.int64]]

POINTS = 256
WINDOW_SHIFT = 5
WHOLE_SHIFT = 7
_HALF = 1 << 31


def power_spectrum(frames: NDArray[np.int16], tables: FrontEndTables) -> NDArray[np.int64]:
    """Power of bins 0 to 255.

    Args:
        frames: (n, window_samples).
        tables: Of the recipe.

    Returns:
        int64 (256, n), 0 to 2^47.
    """
    points = first_stage(windowed(frames, tables))
    for twiddles in tables.stages:
        points = later_stage(points, twiddles)
    return split_power(points, tables.split)


def windowed(frames: NDArray[np.int16], tables: FrontEndTables) -> Complex:
    """Windowed samples as complex points in the order that the stages read them, 2^10 q, (256, n) each."""
    samples = frames.shape[1]
    x = np.zeros((2 * POINTS, len(frames)), np.int64)
    x[:samples] = frames.T * tables.window[:samples, None] >> WINDOW_SHIFT
    return x[0::2][digit_reversed()], x[1::2][digit_reversed()]


def digit_reversed() -> NDArray[np.int64]:
    """The numbers 0 to 255 with their four base-4 digits reversed."""
    order: NDArray[np.int64] = np.arange(POINTS).reshape(4, 4, 4, 4).transpose(3, 2, 1, 0).ravel()
    return order


def first_stage(points: Complex) -> Complex:
    """Transforms of four neighbours each, without scaling."""
    re, im = (part.reshape(POINTS // 4, 4, 1, -1) for part in points)
    return _butterfly(re[:, 0], im[:, 0], [(re[:, r], im[:, r]) for r in (1, 2, 3)])


def later_stage(points: Complex, twiddles: NDArray[np.int64]) -> Complex:
    """Four transforms of `span` points each become one of 4 `span`, halved.

    Args:
        points: re and im, (256, n) each.
        twiddles: (span, 3, 2), cosine and sine.
    """
    span = len(twiddles)
    re, im = (part.reshape(POINTS // (4 * span), 4, span, -1) for part in points)
    turned = [_times(re[:, r], im[:, r], twiddles[:, r - 1, :, None]) for r in (1, 2, 3)]
    return _butterfly(re[:, 0] >> 1, im[:, 0] >> 1, turned)


def split_power(points: Complex, twiddles: NDArray[np.int64]) -> NDArray[np.int64]:
    """Power (256, n) of the real samples' spectrum from the transform (256, n) of their complex pairs.

    The bins k and 256 - k are E + T and the conjugate of E - T, with T = W^k O.
    """
    re, im = points
    power = np.empty_like(re)
    power[0] = np.square(_whole(re[0] + im[0]))
    power[128] = np.square(_whole(re[128])) + np.square(_whole(im[128]))
    low, high = slice(1, 128), slice(255, 128, -1)
    even = (re[low] + re[high]) >> 1, (im[low] - im[high]) >> 1
    # Twice O; the twiddle product halves.
    turn = _times(im[low] + im[high], re[high] - re[low], twiddles[..., None])
    power[low] = np.square(_whole(even[0] + turn[0])) + np.square(_whole(even[1] + turn[1]))
    power[high] = np.square(_whole(even[0] - turn[0])) + np.square(_whole(even[1] - turn[1]))
    return power


def high_mul(a: NDArray[np.int64], b: NDArray[np.int64]) -> NDArray[np.int64]:
    """round(a b / 2^32), ties up; |a|, |b| <= 2^31 (the instruction SMMULR)."""
    return (a * b + _HALF) >> 32


def _times(re: NDArray[np.int64], im: NDArray[np.int64], twiddle: NDArray[np.int64]) -> Complex:
    """Half of (re + j im) (cos - j sin), each of the four products rounded for itself."""
    cos, sin = twiddle[:, 0], twiddle[:, 1]
    return high_mul(re, cos) + high_mul(im, sin), high_mul(im, cos) + high_mul(re, -sin)


def _butterfly(re: NDArray[np.int64], im: NDArray[np.int64], turned: list[Complex]) -> Complex:
    """The transform of four points, (groups, span, n) each, as (256, n)."""
    (re1, im1), (re2, im2), (re3, im3) = turned
    sum_re, sum_im = re + re2, im + im2
    difference_re, difference_im = re - re2, im - im2
    odd_sum_re, odd_sum_im = re1 + re3, im1 + im3
    odd_difference_re, odd_difference_im = re1 - re3, im1 - im3
    out_re = (
        sum_re + odd_sum_re,
        difference_re + odd_difference_im,
        sum_re - odd_sum_re,
        difference_re - odd_difference_im,
    )
    out_im = (
        sum_im + odd_sum_im,
        difference_im - odd_difference_re,
        sum_im - odd_sum_im,
        difference_im + odd_difference_re,
    )
    return _joined(out_re), _joined(out_im)


def _joined(parts: tuple[NDArray[np.int64], ...]) -> NDArray[np.int64]:
    return np.stack(parts, axis=1).reshape(POINTS, -1)


def _whole(x: NDArray[np.int64]) -> NDArray[np.int64]:
    return (x + (1 << (WHOLE_SHIFT - 1))) >> WHOLE_SHIFT
