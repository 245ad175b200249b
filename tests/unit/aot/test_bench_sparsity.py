# SPDX-License-Identifier: Apache-2.0
"""tools/bench_sparsity.py: which weights it makes zero, and what it says of both builds."""

import sys

import numpy as np
import pytest

from mcu_ser.aot.tflite_reader import read_model
from tests.tflite_builder import TfliteBuilder
from tools import bench_sparsity
from tools.bench_sparsity import Taken, main, show, with_zeros


def _model(channels=8):
    """A depthwise convolution, then one of single pixels, of weights without zeros."""
    rng = np.random.default_rng(0)
    builder = TfliteBuilder()
    x, y, z = (builder.tensor((1, 4, 4, channels), scale=1.0) for _ in range(3))
    depthwise = rng.integers(1, 100, (1, 3, 3, channels))
    w = builder.tensor(depthwise.shape, scale=0.01, zero_point=0, data=depthwise)
    builder.operator("DEPTHWISE_CONV_2D", [x, w], [y], Padding=0, StrideH=1, StrideW=1, DepthMultiplier=1)
    pointwise = rng.integers(1, 100, (channels, 1, 1, channels))
    # Without their scales the weights of the first channel were the greatest.
    scales = [1e-4] + [0.01] * (channels - 1)
    pointwise[0] += 27
    w = builder.tensor(pointwise.shape, scale=scales, zero_point=0, data=pointwise)
    builder.operator("CONV_2D", [y, w], [z], Padding=0, StrideH=1, StrideW=1)
    return builder.build([x], [z])


def _weights(file):
    graph = read_model(file)
    return [graph.tensors[operator.inputs[1]].data for operator in graph.operators]


@pytest.mark.parametrize("structure", ["block4", "unstructured"])
def test_the_weakest_weights_become_zero_and_nothing_else(structure):
    file = _model()
    size = bench_sparsity.STRUCTURES[structure]
    zeroed = with_zeros(file, 0.25, structure)
    assert len(zeroed) == len(file)
    (depthwise, before), (same, after) = _weights(file), _weights(zeroed)
    assert (depthwise == same).all()
    gone = (after == 0).reshape(-1, size).all(axis=1)
    assert gone.sum() == 64 / size / 4
    assert (after == 0).sum() == 16
    assert (after[after != 0] == before[after != 0]).all()
    # Of the channel with the least scale all are weaker than any other's.
    assert not after[0].any()
    means = before[1:].reshape(-1, size).mean(axis=1)
    assert means[gone[8 // size :]].max(initial=0) <= means[~gone[8 // size :]].min()


def test_kernels_of_other_channels_keep_all_by_blocks():
    file = _model(6)
    assert with_zeros(file, 0.75, "block4") == file
    assert not np.array_equal(_weights(with_zeros(file, 0.75, "unstructured"))[1], _weights(file)[1])


def test_no_zeros_and_nothing_but_zeros():
    file = _model()
    assert with_zeros(file, 0, "block4") == file
    assert not _weights(with_zeros(file, 1, "block4"))[1].any()


def test_a_build_whose_bytes_differ_is_told(capsys):
    show(Taken({"instructions": 2000}, identical=True), Taken({"instructions": 1300}, identical=False))
    told = capsys.readouterr().out
    assert "1,300    0.650" in told
    assert "NOT all outputs are the oracle's" in told


def test_the_command_ends_with_1_if_a_byte_differs(tmp_path, monkeypatch, capsys):
    path = tmp_path / "model.tflite"
    path.write_bytes(_model())
    seen = []

    def taken(file, pruned, arguments, directory):
        seen.append((file.read_bytes(), sorted(pruned), arguments.samples))
        return Taken({"instructions": 1}, identical=len(seen) < 4)

    monkeypatch.setattr(bench_sparsity, "taken", taken)
    monkeypatch.setattr(sys, "argv", ["bench_sparsity.py", str(path), "--samples", "2"])
    assert main() == 0
    assert seen == [(_model(), [1], 2), (with_zeros(_model(), 0.75, "block4"), [1], 2)]
    assert "model: 64 of 136 weights are in layers that lose some" in capsys.readouterr().out
    assert main() == 1


def test_a_fraction_out_of_range_is_refused(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["bench_sparsity.py", "model.tflite", "--fraction", "75"])
    with pytest.raises(SystemExit) as exit_:
        main()
    assert exit_.value.code == 2
    assert "--fraction 75.0: must be from 0 to 1" in capsys.readouterr().err
