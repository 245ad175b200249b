# SPDX-License-Identifier: Apache-2.0
"""Reports of runs that never were: passing, failing, aborted, traced."""

from __future__ import annotations

import numpy as np

from mcu_ser.toolchain.footprint import Footprint, RegionUse
from mcu_ser.verify.report import Facts, Measurement, build_failure, build_report, with_layers
from mcu_ser.verify.report_sections import Background
from mcu_ser.verify.samples import Samples

LABELS = ("neutral", "happiness", "sadness", "anger", "fear", "disgust")
COUNT = 90
BACKGROUND = Background(
    arena={"bytes": 21_504, "basis": "planned", "budget_bytes": 65_536},
    stack_budget_bytes=8192,
    provenance={
        "command": "mcu-ser verify project --samples samples.npz --out report",
        "board_name": "Netduino Plus 2",
        "mcu": "STM32F405RG, cortex-m4",
        "emulator": "qemu, machine netduinoplus2",
        "compiler": "GCC: 12.2.1",
        "macs": 1_234_567,
        "weight_bytes": 23_456,
        "optimization": "speed",
        "versions": {"numpy": "2.4.6", "python": "3.10.1", "tflite-micro": "1"},
        "hashes": {"model.tflite": "ab" * 32, "firmware.elf": "ef" * 32},
    },
    sparse_layers=(
        {"index": 2, "operator": "CONV_2D", "name": "block_2/conv_2d", "weights": 4096, "zeros": 3072,
         "dense": {"kernel": "aot_rows_matmul", "bytes": 5120, "predicted_instructions": 7_000_123},
         "sparse": {"kernel": "aot_rows_sparse", "bytes": 2560, "predicted_instructions": 3_500_456},
         "chosen": "sparse"},
    ),
)  # fmt: skip
FOOTPRINT = Footprint(
    79_904,
    39_732,
    1_048_576,
    196_608,
    sections=(),
    regions=(
        RegionUse("flash", "flash", 79_904, 1_048_576),
        RegionUse("ram", "ram", 18_228, 131_072),
        RegionUse("ccm", "ram", 21_504, 65_536),
    ),
)


def made_up_facts(**changes):
    facts = {
        "board": "netduinoplus2",
        "engine": "aot",
        "model_sha256": "ab" * 32,
        "build_id": "cd" * 16,
        "oracle": "tflite-micro 1",
        "changed_files": (),
        "footprint": FOOTPRINT,
        "background": BACKGROUND,
    }
    return Facts(**(facts | changes))


def made_up_samples(*, labelled=True, seed=3):
    random = np.random.default_rng(seed)
    x = random.integers(-128, 128, (COUNT, 12)).astype(np.int8)
    y = np.arange(COUNT) % len(LABELS) if labelled else None
    ids = tuple(f"utterance-{index:03}" for index in range(COUNT))
    return Samples(x, y, LABELS if labelled else None, ids, "samples.npz")


def made_up_outputs():
    """The oracle's outputs, right for about two in three samples."""
    random = np.random.default_rng(5)
    outputs = random.integers(-128, -20, (COUNT, len(LABELS))).astype(np.int8)
    said = np.where(random.random(COUNT) < 0.65, np.arange(COUNT), random.integers(0, 6, COUNT)) % len(LABELS)
    outputs[np.arange(COUNT), said] = 100
    return outputs


def made_up_measurement(outputs, *, slower=1.0):
    ticks = np.random.default_rng(7).normal(2_960_000, 1500, COUNT) * slower
    return Measurement(
        outputs=outputs,
        ticks=ticks.astype(np.uint64),
        tick_source="tim2",
        tick_hz=0,
        ticks_are_instructions=True,
        link={"frames": 1210, "retries": 2, "answers": 1208, "bad_frames": 2, "bytes": 432_100,
              "seconds": 4.5, "bytes_per_s": 96_022.2},
        stack_high_water_bytes=1216,
    )  # fmt: skip


def made_up_report(*, wrong=0, litert=True, labelled=True, slower=1.0, wide=None, **facts):
    """A finished run with `wrong` outputs that are not the oracle's; of type `wide`, they are far from it."""
    expected = made_up_outputs()
    if wide:
        expected = expected.astype(wide) * (np.iinfo(wide).max // 127)
    actual = expected.copy()
    actual[: 7 * wrong : 7] = np.roll(actual[: 7 * wrong : 7], 1, axis=1)
    beside = expected.copy()
    beside[::9, 0] += 1
    return build_report(
        facts=made_up_facts(**facts),
        samples=made_up_samples(labelled=labelled),
        expected=expected,
        measurement=made_up_measurement(actual, slower=slower),
        litert=beside if litert else None,
    )


def made_up_abort(reason="socket://127.0.0.1:4: no answer (sample 41 of 90, last message INFER)"):
    return build_failure(made_up_facts(), made_up_samples(), reason)


def made_up_layers(*, profile=True, wrong=False):
    """What a trace found: four layers, of which the third may be wrong."""
    operators = ("CONV_2D", "DEPTHWISE_CONV_2D", "CONV_2D", "SOFTMAX")
    layers = [
        {"index": index, "operator": operator, "name": f"block_{index}/{operator.lower()}",
         "shape": [1, 10, 5, 16], "bytes": 800, "macs": macs, "identical": not wrong or index < 2}
        | ({"ticks": ticks, "share": ticks / 1_600_000, "ticks_per_mac": ticks / macs if macs else None,
            "predicted_ticks": None} if profile else {})
        for index, (operator, macs, ticks) in enumerate(
            zip(operators, (400_000, 90_000, 700_000, 0), (500_000, 200_000, 890_000, 10_000), strict=True)
        )
    ]  # fmt: skip
    first_wrong = {
        "index": 2, "operator": "CONV_2D", "name": "block_2/conv_2d", "shape": [1, 10, 5, 16],
        "differing": 21, "values": 800, "largest_difference": 31, "first": [0, 3, 4, 0], "expected": -98,
        "device": -104, "wrong_channels": 1, "channels": 16, "channel_indices": [0], "cause": "multiplier",
        "cause_text": "whole channels are scaled",
    }  # fmt: skip
    return {
        "sample": 7 if wrong else 0,
        "sample_id": "utterance-007" if wrong else "utterance-000",
        "first_wrong": first_wrong if wrong else None,
        "ticks": {"source": "tim2", "total": 1_600_000} if profile else None,
        "layers": layers,
    }


def made_up_trace(report, **changes):
    """`report` with its layers."""
    layers = made_up_layers(**changes)
    problem = (
        "layer 2, CONV_2D (block_2/conv_2d), is the first that differs" if layers["first_wrong"] else None
    )
    return with_layers(report, layers, problem)
