# SPDX-License-Identifier: Apache-2.0
"""What `model_info.h` and the project's README print of the model: hashes, shapes, quantisation as text."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mcu_ser.generate.byte_arrays import byte_lines

if TYPE_CHECKING:
    from mcu_ser.aot.compile import TensorSpec


@dataclass(frozen=True)
class TensorInfo:
    """One tensor as finished C and prose."""

    text: str
    bytes: str
    rank: str
    shape: str
    scale: str
    scale_bits: str
    zero_point: str


@dataclass(frozen=True)
class ModelInfo:
    """The values of one firmware."""

    model_sha256_lines: tuple[str, ...]
    build_id_lines: tuple[str, ...]
    input: TensorInfo
    output: TensorInfo


def model_info(
    model_sha256: str, build_id: str, input_spec: TensorSpec, output_spec: TensorSpec
) -> ModelInfo:
    """The values; both hashes are hex digits."""
    return ModelInfo(
        model_sha256_lines=tuple(byte_lines(bytes.fromhex(model_sha256))),
        build_id_lines=tuple(byte_lines(bytes.fromhex(build_id))),
        input=_tensor_info(input_spec),
        output=_tensor_info(output_spec),
    )


def _tensor_info(spec: TensorSpec) -> TensorInfo:
    (bits,) = struct.unpack("<I", struct.pack("<f", spec.scale))
    return TensorInfo(
        text="x".join(map(str, spec.shape)),
        bytes=str(spec.bytes),
        rank=str(len(spec.shape)),
        shape="{" + ", ".join(map(str, spec.shape)) + "}",
        scale=repr(spec.scale),
        scale_bits=f"0x{bits:08x}",
        zero_point=str(spec.zero_point),
    )
