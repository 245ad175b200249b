# SPDX-License-Identifier: Apache-2.0
"""Damages .tflite files, and says what becomes of them in the compiler: for its fuzzer and its tests.

Only a McuSerError may come of a damaged file, or a model that compiles. Reader, rules and compiler are tried,
and what engine tflm asks of a model; files whose tensors were made huge end behind the rules.
"""

from __future__ import annotations

import random
import signal
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache

from hypothesis import HealthCheck, given, settings

from mcu_ser.aot.compile import compile_model
from mcu_ser.aot.float_edges import without_float_edges
from mcu_ser.aot.ir import Graph
from mcu_ser.aot.supported import check_supported
from mcu_ser.aot.tflite_reader import read_model
from mcu_ser.board import Board, load_board
from mcu_ser.errors import McuSerError
from mcu_ser.generate.byte_arrays import resolver_registrations
from mcu_ser.generate.engine_model import engine_model
from mcu_ser.tflm.requirements import tflm_requirements
from mcu_ser.tflm.runtime_support import CURRENT_TFLM
from tests.edged_model import edged
from tests.layered_model import layered_model
from tests.random_elements import ELEMENTS
from tests.random_int16 import INT16
from tests.random_layers import LAYERS, LayerModel
from tests.random_lstm import RECURRENT
from tests.random_moves import MOVES
from tests.random_products import PRODUCTS

BYTES = LAYERS | ELEMENTS | MOVES | PRODUCTS | RECURRENT
KINDS = BYTES | {f"{kind}, INT16": INT16[kind] for kind in INT16}

# Numbers at which lengths, offsets, shapes, enumerations and quantisation change their meaning.
_WORDS = (0, 1, 2, 3, 4, 127, 128, 255, 256, 65535, 1 << 16, 1 << 24, (1 << 31) - 1, 1 << 31, (1 << 32) - 1)
_FLOATS = (0.0, -0.0, 1.0, -1.0, 1e-45, 1e-38, 3.4e38, float("inf"), float("-inf"), float("nan"))
# One change at a time gets deepest: most of a small file is what holds it together.
_CHANGE_COUNTS = (1, 1, 1, 2, 3)

# Larger files are mostly weights, in which damage changes nothing.
_LARGEST = 8192
_MODELS_PER_KIND = 4

# A file whose tensors have more elements than this is read and judged, but not compiled.
_COMPILED_ELEMENTS = 1 << 17

# Far more than any of the small files takes.
SECONDS_PER_FILE = 20


def undamaged() -> list[bytes]:
    """Small models of every operator, the same on every run."""
    found = []

    def collect(model: LayerModel) -> None:
        if len(model.file) <= _LARGEST:
            found.append(model.file)

    for kind in sorted(KINDS):
        drawn = given(model=KINDS[kind])(collect)
        settings(
            max_examples=_MODELS_PER_KIND,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        )(drawn)()
    return [*found, layered_model(), edged(), edged(stored="INT16")]


def damaged(file: bytes, others: Sequence[bytes], rng: random.Random) -> bytes:
    """The file after one to three changes, as the random numbers have it."""
    content = bytearray(file)
    for _ in range(rng.choice(_CHANGE_COUNTS)):
        _CHANGES[rng.randrange(len(_CHANGES))](content, others, rng)
    return bytes(content)


def _place(content: bytearray, rng: random.Random, size: int = 1) -> int:
    """Any place, more often an aligned one, and one outside of the weights at the ends of large files."""
    at = rng.randrange(max(1, len(content) - size + 1))
    return at & ~3 if rng.random() < 0.8 else at


def _bit(content: bytearray, _others: Sequence[bytes], rng: random.Random) -> None:
    if content:
        content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)


def _byte(content: bytearray, _others: Sequence[bytes], rng: random.Random) -> None:
    if content:
        content[rng.randrange(len(content))] = rng.randrange(256)


def _word(content: bytearray, _others: Sequence[bytes], rng: random.Random) -> None:
    if len(content) >= 4:
        at = _place(content, rng, 4)
        content[at : at + 4] = struct.pack("<I", rng.choice(_WORDS))


def _float(content: bytearray, _others: Sequence[bytes], rng: random.Random) -> None:
    if len(content) >= 4:
        at = _place(content, rng, 4)
        content[at : at + 4] = struct.pack("<f", rng.choice(_FLOATS))


def _shifted_word(content: bytearray, _others: Sequence[bytes], rng: random.Random) -> None:
    """A number a little greater or less: an offset to a neighbour, a length one too long."""
    if len(content) >= 4:
        at = _place(content, rng, 4)
        (number,) = struct.unpack_from("<I", content, at)
        content[at : at + 4] = struct.pack(
            "<I", (number + rng.choice((-8, -4, -2, -1, 1, 2, 4, 8))) % (1 << 32)
        )


def _copied_words(content: bytearray, _others: Sequence[bytes], rng: random.Random) -> None:
    count = 4 * rng.randint(1, 8)
    if len(content) >= count:
        source, target = _place(content, rng, count), _place(content, rng, count)
        content[target : target + count] = content[source : source + count]


def _shortened(content: bytearray, _others: Sequence[bytes], rng: random.Random) -> None:
    if rng.random() < 0.2:
        del content[rng.randrange(len(content) + 1) :]


def _lost_words(content: bytearray, _others: Sequence[bytes], rng: random.Random) -> None:
    at = _place(content, rng)
    del content[at : at + 4 * rng.randint(1, 4)]


def _more_words(content: bytearray, _others: Sequence[bytes], rng: random.Random) -> None:
    at = _place(content, rng)
    content[at:at] = rng.randbytes(4 * rng.randint(1, 4))


def _spliced(content: bytearray, others: Sequence[bytes], rng: random.Random) -> None:
    other = rng.choice(others)
    at, count = _place(content, rng), 4 * rng.randint(1, 32)
    content[at : at + count] = other[at : at + count]


_CHANGES = (
    # What changes no length leaves most of the file to be read.
    *(_bit, _byte, _word, _word, _word, _float, _shifted_word, _copied_words, _spliced) * 3,
    *(_shortened, _lost_words, _more_words),
)


def outcome(file: bytes) -> str:
    """What becomes of a file: "read error", "not supported", "supported" or "compiled".

    Raises:
        TimeoutError: It takes far too long.
        Exception: Whatever is not a McuSerError: a defect.
    """
    with _time_limit():
        try:
            file = without_float_edges(file).content
            graph = read_model(file)
        except McuSerError:
            return "read error"
        _ask_interpreter(file, graph)
        try:
            check_supported(graph)
        except McuSerError:
            return "not supported"
        if sum(tensor.elements for tensor in graph.tensors) > _COMPILED_ELEMENTS:
            return "supported"
        # What the rules have let through compiles, or breaks a rule that only the compiler knows.
        try:
            compile_model(file)
        except McuSerError:
            return "not supported"
        return "compiled"


def _ask_interpreter(file: bytes, graph: Graph) -> None:
    """What engine tflm makes of a file, and what it asks of those, too, that its rules refuse."""
    with suppress(McuSerError):
        engine_model(file, "model", _board(), "tflm")
    with suppress(McuSerError):
        tflm_requirements(file, graph, CURRENT_TFLM)
        resolver_registrations(graph)


@cache
def _board() -> Board:
    return load_board("netduinoplus2")


@contextmanager
def _time_limit() -> Iterator[None]:
    def stop(_signal: int, _frame: object) -> None:
        raise TimeoutError(f"more than {SECONDS_PER_FILE} s")

    previous = signal.signal(signal.SIGALRM, stop)
    signal.alarm(SECONDS_PER_FILE)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, previous)
