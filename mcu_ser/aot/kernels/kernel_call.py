# SPDX-License-Identifier: Apache-2.0
"""The call of one C kernel: what the kernels make for the emitter."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mcu_ser.aot.overlap import Overlap
from mcu_ser.aot.requantize import Multiplier
from mcu_ser.aot.weighted import Weighted

C_TYPES = {
    "int8": "int8_t",
    "int16": "int16_t",
    "int32": "int32_t",
    "int64": "int64_t",
    "uint8": "uint8_t",
    "uint32": "uint32_t",
}


@dataclass(frozen=True, eq=False)
class Table:
    """A constant array of the layer, of a type of `C_TYPES`; `name` is that of the description's member."""

    name: str
    values: npt.NDArray[Any]

    @property
    def c_type(self) -> str:
        return C_TYPES[self.values.dtype.name]


@dataclass(frozen=True)
class Name:
    """Something that the kernel's header defines, as a member of a description."""

    text: str


@dataclass(frozen=True)
class Struct:
    """Members of a C struct in the order of its declaration."""

    members: tuple[tuple[str, Value], ...]


Value = int | tuple[int, ...] | Table | Struct | Name


def struct(**members: Value) -> Struct:
    """A struct of the members given, in the order given."""
    return Struct(tuple(members.items()))


@dataclass(frozen=True)
class Form:
    """What a layer takes with a kernel: bytes of constants, and instructions as `cost` predicts them."""

    kernel: str
    bytes: int
    predicted_instructions: int | None


@dataclass(frozen=True)
class SparseChoice:
    """A layer that may leave out zeros: without, with, and whether it does.

    `sparse` is the best of its sparse forms.
    """

    dense: Form
    sparse: Form
    taken: bool


@dataclass(frozen=True, eq=False)
class KernelCall:
    """`kernel`(&description, inputs..., output), with the address of its scratch last if it has any.

    `header` is the file in firmware_templates/runtime/kernels/ that has the kernel, `included` the files that
    it includes besides kernel.h; its description is a `struct <struct_name>`. `inputs` and `output` are
    tensor indices. `macs` counts every tap of the kernel, those in the padding included. `scratch_bytes` of
    the arena are the kernel's own while it runs. `sparsity` is the fraction of zeros among the weights.
    `chain_steps` is the length of the assembly's chain of steps (matmul_dsp.h) that suits it, 0 without one;
    `narrow_steps` the same of conv_2d_narrow_dsp.h.
    `more` are further calls of the layer, of the same header, for its other inputs or outputs.
    `sparse_choice` says what the layer takes with and without its zeros, None where it has no sparse form
    or the build is for size.
    `overlap` says how the output may lie over the only input, None where it may not.
    `for_size`: the kernel is compiled for size.
    """

    header: str
    kernel: str
    struct_name: str
    description: Struct
    inputs: tuple[int, ...]
    output: int
    macs: int = 0
    included: tuple[str, ...] = ()
    scratch_bytes: int = 0
    sparsity: float | None = None
    chain_steps: int = 0
    narrow_steps: int = 0
    more: tuple[KernelCall, ...] = ()
    sparse_choice: SparseChoice | None = None
    overlap: Overlap | None = None
    for_size: bool = False

    def steps(self) -> tuple[KernelCall, ...]:
        """All calls of the layer, in order."""
        return (self, *self.more)

    def tables(self) -> Iterator[Table]:
        """The constant arrays of the layer."""
        yield from _tables(self.description)

    @property
    def constant_bytes(self) -> int:
        """Bytes of those arrays."""
        return sum(table.values.nbytes for table in self.tables())


def _tables(value: Struct) -> Iterator[Table]:
    for _, member in value.members:
        if isinstance(member, Table):
            yield member
        elif isinstance(member, Struct):
            yield from _tables(member)


def rescale(layer: Weighted, minimum: int, maximum: int) -> Struct:
    """`struct aot_rescale` of a layer with weights; equal multipliers of all channels are stored once."""
    multipliers: tuple[Multiplier, ...] = layer.multipliers
    if len(set(multipliers)) == 1:
        multipliers = multipliers[:1]
    return struct(
        multiplier=Table("multiplier", np.array([m.mantissa for m in multipliers], np.int32)),
        shift=Table("shift", np.array([m.shift for m in multipliers], np.int8)),
        per_channel=int(len(multipliers) > 1),
        any_left_shift=int(any(m.shift > 0 for m in multipliers)),
        zero_point=layer.output.zero_point,
        min=minimum,
        max=maximum,
    )


def bias_and_offset(layer: Weighted, *, foldable: bool) -> tuple[Table, int]:
    """Biases and input offset of a layer with weights.

    Args:
        layer: The layer.
        foldable: Every tap lies inside the input, so that the biases may make up for its zero point.
    """
    folded = layer.folded_biases if foldable else None
    if folded is None:
        return Table("bias", layer.biases.astype(np.int32)), -layer.input.zero_point
    return Table("bias", folded.astype(np.int32)), 0
