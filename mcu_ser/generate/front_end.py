# SPDX-License-Identifier: Apache-2.0
"""Turns the front end of a model into its C: sizes and tables, beside the algorithms of the runtime."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Protocol

from mcu_ser import __version__
from mcu_ser.errors import ConfigError
from mcu_ser.features.integer_fft import POINTS
from mcu_ser.features.integer_tables import front_end_tables
from mcu_ser.generate.fit import FrontEndSize

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from mcu_ser.features.front_end import FrontEnd
    from mcu_ser.features.integer_tables import FrontEndTables


class InputSpec(Protocol):
    """What is needed of the model's input: see `aot.compile.TensorSpec`."""

    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def scale(self) -> float: ...
    @property
    def zero_point(self) -> int: ...
    @property
    def dtype(self) -> str: ...


CONFIG_NAME = "front_end_config.h"
TABLES_NAME = "front_end_tables.c"
_CLIP_MEANS = ("keep", "level", "band")
_LINE = 108
# Code of the front end and of the requests that serve it, beyond what the runtime has without: the most of
# all boards at -O2 (5,418 B on Cortex-M55 with a hop that is no power of two, gcc 12.2; a test holds every
# board against this), rounded up.
CODE_BYTES = 5632
# What the requests keep beside the front end's own state, aligned: server_audio.c, server_listen.c with its
# block, the counters of audio_ring.c, and what sliding_window.c and energy_gate.c keep.
SERVER_BYTES = 32 + 288 + 16 + 12 + 48
# Of audio_ring.h: for what the host plays, and for what a microphone hears while the model runs.
RING_SAMPLES = 512
MICROPHONE_RING_SAMPLES = 8192
# Of the interrupt, and two of the library below it.
MICROPHONE_BLOCKS_BYTES = 3 * 512


def front_end_sources(front_end: FrontEnd) -> dict[str, str]:
    """The files that go beside those of `firmware_templates/runtime/front_end`, by name."""
    tables = front_end_tables(front_end.spec)
    return {CONFIG_NAME: _config(front_end, tables), TABLES_NAME: _tables(front_end, tables)}


def front_end_size(front_end: FrontEnd) -> FrontEndSize:
    """What the front end takes of any board: its tables and state as they are, its code as measured."""
    spec, tables = front_end.spec, front_end_tables(front_end.spec)
    numbers_16 = 2 * POINTS + 65 + sum(len(band.weights) for band in tables.bands)
    pairs_32 = sum(len(stage) * 3 for stage in tables.stages) + len(tables.split) + spec.mels
    bands = 4 * spec.mels
    gate = -(-spec.frames // 4) * 4
    history, levels, spectrum = 2 * 2 * POINTS + 6 * 4, 2 * spec.frames * spec.mels, 8 * POINTS
    return FrontEndSize(
        flash_bytes=2 * numbers_16 + 8 * pairs_32 + bands + CODE_BYTES,
        ram_bytes=history + levels + spectrum + gate + 2 * RING_SAMPLES + SERVER_BYTES,
        microphone_ram_bytes=2 * (MICROPHONE_RING_SAMPLES - RING_SAMPLES) + MICROPHONE_BLOCKS_BYTES,
    )


def require_fitting_front_end(
    front_end: FrontEnd, entrance: InputSpec, output_type: str, subject: object
) -> None:
    """Check that a front end gives what a model takes, and that the model gives scores.

    Args:
        front_end: Of whatever model.
        entrance: The input of the model.
        output_type: Of the model's output.
        subject: Where the front end is from, for errors.

    Raises:
        ConfigError: Its map has another shape, or other steps; or there are no scores to listen to.
    """
    if output_type == "INT32":
        problem = "is for a model that gives scores, and this one gives an index"
        raise ConfigError(subject, problem, hint="end the model before its ARG_MAX")
    hint = "the front_end.json that mcu-ser convert wrote beside the model"
    spec = front_end.spec
    if [extent for extent in entrance.shape if extent != 1] != [spec.frames, spec.mels]:
        taken = "x".join(map(str, entrance.shape))
        problem = f"gives {spec.frames} frames of {spec.mels} bands, the model takes {taken}"
        raise ConfigError(subject, problem, hint=hint)
    if entrance.dtype != "INT8":
        raise ConfigError(subject, f"gives INT8, the model takes {entrance.dtype}", hint="a model of INT8")
    steps = [(_float_bits(one.scale), one.zero_point) for one in (front_end, entrance)]
    if steps[0] != steps[1]:
        problem = (
            f"is for an input of scale {front_end.scale!r} and zero point {front_end.zero_point}, "
            f"the model's has {entrance.scale!r} and {entrance.zero_point}"
        )
        raise ConfigError(subject, problem, hint=hint)


def _float_bits(value: float) -> bytes:
    return struct.pack("<f", value)


def _config(front_end: FrontEnd, tables: FrontEndTables) -> str:
    spec = front_end.spec
    values = {
        "FRAMES": f"{spec.frames}u",
        "MELS": f"{spec.mels}u",
        "WINDOW": f"{spec.window_samples}u",
        "HOP": f"{spec.hop_samples}u",
        "WEIGHTS": f"{sum(len(band.weights) for band in tables.bands)}u",
        "FLOOR": f"UINT64_C({tables.floor})",
        "FLOOR_LOG2": str(tables.floor_log2),
        "ZERO_POINT": f"({front_end.zero_point})",
        **{f"CLIP_MEAN_{name.upper()}": str(number) for number, name in enumerate(_CLIP_MEANS)},
        "CLIP_MEAN": f"FRONT_END_CLIP_MEAN_{spec.clip_mean.upper()}",
    }
    defines = [f"#define FRONT_END_{name} {value}" for name, value in values.items()]
    guard = "MCU_SER_FRONT_END_CONFIG_H"
    return "\n".join([_heading(), f"#ifndef {guard}", f"#define {guard}", "", *defines, "", "#endif", ""])


def _tables(front_end: FrontEnd, tables: FrontEndTables) -> str:
    bands = tables.bands
    twiddles = [pair for stage in tables.stages for pair in _pairs(stage)]
    arrays = [
        _array("int16_t front_end_window[FRONT_END_FFT]", _numbers(tables.window)),
        _array("struct front_end_twiddle front_end_stage_twiddles[3 * (4 + 16 + 64)]", twiddles),
        _array("struct front_end_twiddle front_end_split_twiddles[127]", _pairs(tables.split)),
        _array(
            "struct front_end_band front_end_bands[FRONT_END_MELS]",
            [f"{{{band.first}, {len(band.weights)}}}" for band in bands],
        ),
        _array(
            "uint16_t front_end_weights[FRONT_END_WEIGHTS]",
            [str(weight) for band in bands for weight in band.weights],
        ),
        _array("uint16_t front_end_log2[65]", _numbers(tables.log2)),
        _array(
            "struct front_end_normalization front_end_normalizations[FRONT_END_MELS]",
            [f"{{{mean}, {gain}}}" for mean, gain in zip(front_end.mean, front_end.gain, strict=True)],
        ),
    ]
    return "\n".join([_heading(), '#include "front_end_tables.h"', "", *arrays])


def _heading() -> str:
    return (
        "/* SPDX-License-Identifier: Apache-2.0 */\n"
        f"/* Made by mcu-ser {__version__} of a recipe's features and a model's input. */"
    )


def _array(declaration: str, values: Sequence[str]) -> str:
    return "\n".join([f"const {declaration} = {{", *_lines(values), "};", ""])


def _lines(values: Iterable[str]) -> list[str]:
    """The values with commas, as many on a line as fit."""
    lines: list[str] = []
    for value in values:
        if lines and len(lines[-1]) + len(value) + 2 <= _LINE:
            lines[-1] += f" {value},"
        else:
            lines.append(f"    {value},")
    return lines


def _numbers(values: NDArray[np.int64]) -> list[str]:
    return [str(value) for value in values.tolist()]


def _pairs(values: NDArray[np.int64]) -> list[str]:
    return [f"{{{cos}, {sin}}}" for cos, sin in values.reshape(-1, 2).tolist()]
