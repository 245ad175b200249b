# SPDX-License-Identifier: Apache-2.0
"""What a wrong tensor looks like, and what usually makes it so: a table of rules, the most telling first.

All layers before the wrong one are right, so its inputs are, and what is wrong is the layer itself. A rule
says what is likely, not what is so: it looks at the differences alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mcu_ser.aot.int16 import INT16_MAX, INT16_MIN
from mcu_ser.aot.ir import Activation, WindowOptions
from mcu_ser.aot.passes import ALIASING
from mcu_ser.aot.requantize import INT8_MAX, INT8_MIN, INT32_MAX, INT32_MIN, activation_range
from mcu_ser.aot.window import window_of

if TYPE_CHECKING:
    from mcu_ser.aot.ir import Graph, Operator

Values = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

_LIMITS = {
    "INT8": (INT8_MIN, INT8_MAX),
    "INT16": (INT16_MIN, INT16_MAX),
    "INT32": (INT32_MIN, INT32_MAX),
}

# A pattern that fewer values show may be chance.
_ENOUGH = 4
# Of the values of the first layer that computes; another model's weights leave hardly one right.
_NEARLY_ALL = 0.9


@dataclass(frozen=True, eq=False)
class Evidence:
    """A wrong tensor beside the right one.

    Attributes:
        expected: The oracle's tensor, int64 of the layer's shape; the last dimension is that of channels.
        device: The board's, likewise.
        low: Least value that the layer can give; `high` the greatest.
        zero_point: What stands for 0.0.
        border: bool (height, width): whose window reaches beyond the input; None for a layer without window.
        computes_first: No layer before it computes anything.
    """

    expected: Values
    device: Values
    low: int = -128
    high: int = 127
    zero_point: int = 0
    border: Mask | None = None
    computes_first: bool = False

    @cached_property
    def difference(self) -> Values:
        """Device less oracle, (rows, channels)."""
        return _rows(self.device - self.expected)

    @cached_property
    def wrong(self) -> Mask:
        """Which values differ, (rows, channels)."""
        return np.asarray(self.difference != 0)

    @cached_property
    def inner(self) -> Mask:
        """Which values both are within the range, so that their difference was not cut off."""
        return self.within(self.expected) & self.within(self.device)

    @cached_property
    def wrong_channels(self) -> npt.NDArray[np.intp]:
        """Indices of the channels in which a value differs."""
        return np.flatnonzero(self.wrong.any(axis=0))

    def within(self, values: Values) -> Mask:
        """Which values of a tensor are not at an end of the range, (rows, channels)."""
        rows = _rows(values)
        return np.asarray((rows > self.low) & (rows < self.high))


@dataclass(frozen=True)
class Cause:
    """A kind of fault.

    Attributes:
        name: For programs.
        text: For people, as part of a sentence.
        matches: Whether the evidence looks like it.
    """

    name: str
    text: str
    matches: Callable[[Evidence], bool]


def evidence_of(
    graph: Graph, operator: Operator, expected: npt.NDArray[Any], device: npt.NDArray[Any]
) -> Evidence:
    """What the rules need to know of a wrong layer; both tensors have the layer's shape."""
    output = graph.results(operator)[0]
    activation = getattr(operator.options, "activation", _ACTIVATIONS.get(operator.opcode, Activation.NONE))
    low, high = limits = _LIMITS.get(output.dtype, _LIMITS["INT8"])
    # Indices have no scale, and layers that only move values need none.
    scaled = output.quantization is not None
    if scaled and activation not in {Activation.TANH, Activation.SIGN_BIT}:
        low, high = activation_range(activation, output.scale, output.zero_point, limits)
    earlier = graph.operators[: operator.index]
    return Evidence(
        expected=expected.astype(np.int64),
        device=device.astype(np.int64),
        low=low,
        high=high,
        zero_point=output.zero_point if scaled else 0,
        border=_border(graph, operator),
        computes_first=all(other.opcode in ALIASING for other in earlier),
    )


def likely_cause(evidence: Evidence) -> Cause:
    """The first cause that matches."""
    return next(cause for cause in CAUSES if cause.matches(evidence))


_ACTIVATIONS = {"RELU": Activation.RELU, "RELU6": Activation.RELU6}


def _border(graph: Graph, operator: Operator) -> Mask | None:
    output = graph.results(operator)[0].shape
    source = graph.tensors[operator.inputs[0]].shape
    if len(output) != 4 or len(source) != 4:
        return None
    if operator.opcode in {"PAD", "PADV2"}:
        paddings = graph.tensors[operator.inputs[1]].data
        if paddings is None:
            return None
        before = [int(paddings.reshape(-1, 2)[axis][0]) for axis in (1, 2)]
        reaches = [
            (np.arange(output[axis + 1]) < before[axis])
            | (np.arange(output[axis + 1]) >= before[axis] + source[axis + 1])
            for axis in (0, 1)
        ]
    elif isinstance(operator.options, WindowOptions):
        window = window_of(graph, operator)
        reaches = []
        for axis in (0, 1):
            first = np.arange(output[axis + 1]) * window.stride[axis] - window.pad[axis]
            last = first + (window.size[axis] - 1) * window.dilation[axis]
            reaches.append((first < 0) | (last >= source[axis + 1]))
    else:
        return None
    return np.asarray(reaches[0][:, None] | reaches[1][None, :])


def _rows(values: Values) -> Values:
    return values.reshape(-1, values.shape[-1] if values.ndim else 1)


def _is_constant(differences: Values) -> bool:
    """One shift of all values, which rounding may make larger by one here and there."""
    if differences.size < _ENOUGH:
        return False
    least, greatest = int(differences.min()), int(differences.max())
    return greatest - least <= 1 and (least > 0 or greatest < 0)


def _offset_everywhere(evidence: Evidence) -> bool:
    return _is_constant(evidence.difference[evidence.inner])


def _offset_in_channels(evidence: Evidence) -> bool:
    return all(
        _is_constant(evidence.difference[:, channel][evidence.inner[:, channel]])
        for channel in evidence.wrong_channels
    )


def _by_one(evidence: Evidence) -> bool:
    return bool(np.abs(evidence.difference).max() == 1)


def _only_at_borders(evidence: Evidence) -> bool:
    if evidence.border is None or evidence.border.all():
        return False
    wrong = evidence.wrong.reshape(*evidence.border.shape, -1).any(axis=2)
    return not np.any(wrong & ~evidence.border)


def _scaled_in_channels(evidence: Evidence) -> bool:
    expected, device = (_rows(v) - evidence.zero_point for v in (evidence.expected, evidence.device))
    at_end = device + evidence.zero_point == evidence.high
    if evidence.low != evidence.zero_point:
        at_end |= device + evidence.zero_point == evidence.low
    usable = evidence.within(evidence.expected) & ~at_end
    return all(
        _is_scaled(expected[:, channel][usable[:, channel]], device[:, channel][usable[:, channel]])
        for channel in evidence.wrong_channels
    )


def _is_scaled(expected: Values, device: Values) -> bool:
    """Whether all values are one multiple of the expected ones, but for the rounding of both."""
    x, y = expected.astype(np.float64), device.astype(np.float64)
    # Where the values between the ends are right, what is wrong is at the ends.
    if np.count_nonzero(x != y) < _ENOUGH or np.abs(x).max() < 8:
        return False
    factor = float(x @ y / (x @ x))
    return bool(np.abs(y - factor * x).max() <= 0.5 * (1 + abs(factor)) + 0.1)


def _nearly_everything(evidence: Evidence) -> bool:
    return evidence.computes_first and float(evidence.wrong.mean()) >= _NEARLY_ALL


def _few_channels(evidence: Evidence) -> bool:
    return bool(2 * len(evidence.wrong_channels) <= evidence.wrong.shape[1])


def _at_the_ends(evidence: Evidence) -> bool:
    device, wrong = _rows(evidence.device), evidence.wrong
    wrapped = np.abs(evidence.difference) >= 128
    at_end = (device <= evidence.low) | (device >= evidence.high) | wrapped
    return bool(2 * np.count_nonzero(at_end & wrong) >= np.count_nonzero(wrong))


CAUSES = (
    Cause(
        "zero point",
        "all values are shifted alike: the zero point of the output, or that of the input in the biases",
        _offset_everywhere,
    ),
    Cause(
        "bias",
        "whole channels are shifted, each by its own amount: their biases",
        _offset_in_channels,
    ),
    Cause(
        "rounding",
        "no difference is larger than 1: the rounding mode, or the last bits of a multiplier",
        _by_one,
    ),
    Cause(
        "padding",
        "only values are wrong whose window reaches beyond the input: the padding, or the value it has",
        _only_at_borders,
    ),
    Cause(
        "multiplier",
        "whole channels are scaled: the multiplier or the shift of their requantisation",
        _scaled_in_channels,
    ),
    Cause(
        "stale",
        "the first layer that computes is wrong nearly everywhere: constants of another model, or an input "
        "that is read in another order",
        _nearly_everything,
    ),
    Cause(
        "channels",
        "only some output channels are wrong: a weight, bias or multiplier of theirs",
        _few_channels,
    ),
    Cause(
        "overflow",
        "most wrong values are at an end of the range or beyond: an overflow, or a missing saturation",
        _at_the_ends,
    ),
    Cause(
        "unknown",
        "no known pattern: the constants of the layer, its kernel, or memory that something else writes to",
        lambda evidence: True,
    ),
)
