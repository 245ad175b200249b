# SPDX-License-Identifier: Apache-2.0
"""Turns the options table of a .tflite operator into the options of the IR, for `tflite_reader`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mcu_ser.aot.ir import (
    Activation,
    AddOptions,
    BatchMatmulOptions,
    ConvolutionOptions,
    DepthwiseOptions,
    FullyConnectedOptions,
    LeakyReluOptions,
    LstmOptions,
    NormOptions,
    Options,
    Padding,
    PartsOptions,
    PoolOptions,
    ResizeOptions,
    SoftmaxOptions,
    SqueezeOptions,
    StridedSliceOptions,
    WindowOptions,
)
from mcu_ser.errors import ModelError


def _window(table: Any) -> WindowOptions:
    return WindowOptions(
        padding=Padding(table.Padding()),
        stride=(table.StrideH(), table.StrideW()),
        dilation=(table.DilationHFactor(), table.DilationWFactor()),
        activation=Activation(table.FusedActivationFunction()),
    )


def _int32_sums(table: Any) -> bool:
    import tflite

    return bool(table.QuantizedBiasType() == tflite.TensorType.INT32)


def _convolution(table: Any) -> ConvolutionOptions:
    window = _window(table)
    return ConvolutionOptions(
        window.padding, window.stride, window.dilation, window.activation, _int32_sums(table)
    )


def _depthwise(table: Any) -> DepthwiseOptions:
    window = _window(table)
    return DepthwiseOptions(
        window.padding, window.stride, window.dilation, window.activation, table.DepthMultiplier()
    )


def _transpose_conv(table: Any) -> WindowOptions:
    return WindowOptions(
        padding=Padding(table.Padding()),
        stride=(table.StrideH(), table.StrideW()),
        dilation=(1, 1),
        activation=Activation(table.FusedActivationFunction()),
    )


def _pool(table: Any) -> PoolOptions:
    return PoolOptions(
        padding=Padding(table.Padding()),
        stride=(table.StrideH(), table.StrideW()),
        dilation=(1, 1),
        activation=Activation(table.FusedActivationFunction()),
        window=(table.FilterHeight(), table.FilterWidth()),
    )


def _fully_connected(table: Any) -> FullyConnectedOptions:
    return FullyConnectedOptions(
        Activation(table.FusedActivationFunction()), table.WeightsFormat(), _int32_sums(table)
    )


def _add(table: Any) -> AddOptions:
    return AddOptions(Activation(table.FusedActivationFunction()))


def _batch_matmul(table: Any) -> BatchMatmulOptions:
    return BatchMatmulOptions(bool(table.AdjX()), bool(table.AdjY()))


def _leaky_relu(table: Any) -> LeakyReluOptions:
    return LeakyReluOptions(float(table.Alpha()))


def _softmax(table: Any) -> SoftmaxOptions:
    return SoftmaxOptions(float(table.Beta()))


def _concatenation(table: Any) -> PartsOptions:
    return PartsOptions(table.Axis(), activation=Activation(table.FusedActivationFunction()))


def _pack(table: Any) -> PartsOptions:
    return PartsOptions(table.Axis(), table.ValuesCount())


def _unpack(table: Any) -> PartsOptions:
    return PartsOptions(table.Axis(), table.Num())


def _squeeze(table: Any) -> SqueezeOptions:
    # No tensor has more than 8 dimensions; a file that claims more must not keep the reader busy.
    axes = table.SqueezeDimsAsNumpy() if table.SqueezeDimsLength() else ()
    return SqueezeOptions(tuple(int(axis) for axis in axes[:9]))


def _strided_slice(table: Any) -> StridedSliceOptions:
    return StridedSliceOptions(
        begin_mask=table.BeginMask(),
        end_mask=table.EndMask(),
        ellipsis_mask=table.EllipsisMask(),
        new_axis_mask=table.NewAxisMask(),
        shrink_axis_mask=table.ShrinkAxisMask(),
        offset=bool(table.Offset()),
    )


def _resize(table: Any) -> ResizeOptions:
    return ResizeOptions(bool(table.AlignCorners()), bool(table.HalfPixelCenters()))


def _norm(table: Any) -> NormOptions:
    return NormOptions(Activation(table.FusedActivationFunction()))


def _lstm(table: Any) -> LstmOptions:
    return LstmOptions(
        activation=Activation(table.FusedActivationFunction()),
        cell_clip=float(table.CellClip()),
        time_major=bool(table.TimeMajor()),
        diagonal=bool(table.DiagonalRecurrentTensors()),
    )


# Operator -> name of its table in the schema, and what to make of it.
_READERS: dict[str, tuple[str, Callable[[Any], Options]]] = {
    "CONV_2D": ("Conv2DOptions", _convolution),
    "DEPTHWISE_CONV_2D": ("DepthwiseConv2DOptions", _depthwise),
    "FULLY_CONNECTED": ("FullyConnectedOptions", _fully_connected),
    "AVERAGE_POOL_2D": ("Pool2DOptions", _pool),
    "MAX_POOL_2D": ("Pool2DOptions", _pool),
    "ADD": ("AddOptions", _add),
    "BATCH_MATMUL": ("BatchMatMulOptions", _batch_matmul),
    "CONCATENATION": ("ConcatenationOptions", _concatenation),
    "L2_NORMALIZATION": ("L2NormOptions", _norm),
    "PACK": ("PackOptions", _pack),
    "RESIZE_NEAREST_NEIGHBOR": ("ResizeNearestNeighborOptions", _resize),
    "SQUEEZE": ("SqueezeOptions", _squeeze),
    "STRIDED_SLICE": ("StridedSliceOptions", _strided_slice),
    "TRANSPOSE_CONV": ("TransposeConvOptions", _transpose_conv),
    "UNIDIRECTIONAL_SEQUENCE_LSTM": ("UnidirectionalSequenceLSTMOptions", _lstm),
    "UNPACK": ("UnpackOptions", _unpack),
    "LEAKY_RELU": ("LeakyReluOptions", _leaky_relu),
    "MUL": ("MulOptions", _add),
    "SUB": ("SubOptions", _add),
    "SOFTMAX": ("SoftmaxOptions", _softmax),
}


def read_options(opcode: str, operator: Any, where: str, name: str) -> Options | None:
    """Options of one operator; None for operators that have none or that the engine does not know.

    Args:
        opcode: Name of the operator, e.g. CONV_2D.
        operator: The operator's table, an accessor of the `tflite` package.
        where: Names the operator in errors.
        name: Names the model in errors.

    Raises:
        ModelError: The options are missing, of another operator, or hold an unknown value.
    """
    if opcode not in _READERS:
        return None
    import tflite

    table_name, read = _READERS[opcode]
    union = operator.BuiltinOptions()
    if union is None or operator.BuiltinOptionsType() != getattr(tflite.BuiltinOptions, table_name):
        raise ModelError(name, f"{where} has no {table_name}")
    table = getattr(tflite, table_name)()
    table.Init(union.Bytes, union.Pos)
    try:
        return read(table)
    except ValueError as error:
        raise ModelError(name, f"{where} has an unknown option: {error}") from error
