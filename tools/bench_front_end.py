# SPDX-License-Identifier: Apache-2.0
"""What the integer front end costs and how exact it is: .venv/bin/python tools/bench_front_end.py.

Instructions are those of QEMU's Cortex-M4, one by one. With MCU_SER_CORPUS_ROOT the clips are EmoDB's,
otherwise made-up voices. With TFLM_ROOT, a tree of TFLite-Micro whose build has fetched its libraries, the
same is counted of TensorFlow's micro frontend.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parents[1]))

from mcu_ser.convert.quantization import quantize
from mcu_ser.features.clip import frame_count
from mcu_ser.features.front_end import FrontEnd
from mcu_ser.features.integer_log_mel import LEVEL_STEP, level_map, level_offset, level_rows, log_power
from mcu_ser.features.log_mel import log_mel, log_mel_rows
from mcu_ser.features.normalization import Normalization
from mcu_ser.recipe import FeaturesRecipe
from tests.cortex_m4_front_end import PORTABLE, footprint, missing_tools, run_on_cortex_m4
from tests.cortex_m4_microfrontend import MicrofrontendRun, exact_microfrontend, run_microfrontend
from tests.cortex_m4_microfrontend import why_not as why_no_microfrontend
from tests.speech import emodb_clips, emodb_files, synthetic_clips

SPEC = FeaturesRecipe(frames=160)
BUILDS = {
    "Cortex-M4, DSP, -O2": ("-O2",),
    "Cortex-M4, DSP, -Os": ("-Os",),
    "Cortex-M4, portable C, -O2": ("-O2", PORTABLE),
    "Cortex-M4, portable C, -Os": ("-Os", PORTABLE),
}
# A hop every 16 ms on the slowest board with a microphone.
CORE_HZ = 64_000_000

Pcm = NDArray[np.int16]


def main() -> None:
    """Print cost and error."""
    clips = emodb_clips(SPEC, every=1) if emodb_files() else synthetic_clips(SPEC)
    print(f"{len(clips)} clips of {'EmoDB' if emodb_files() else 'made-up voices'}, {SPEC!r}")
    front_end = print_error(clips)
    if missing := missing_tools():
        print(f"no cost: {', '.join(missing)} not installed")
    else:
        print_cost(front_end, clips[0])
        if reason := why_no_microfrontend():
            print(f"no micro frontend: {reason}")
        else:
            print_microfrontend(clips[0])


def print_error(clips: list[Pcm]) -> FrontEnd:
    """Integer against float64, in natural logarithm of power and in int8 steps; the front end measured."""
    start = time.perf_counter()
    found = np.array([level_map(pcm, SPEC) for pcm in clips])
    seconds = time.perf_counter() - start
    frames = sum(frame_count(len(pcm), SPEC) for pcm in clips)
    print(f"numpy: {seconds:.1f} s for {frames} frames, {1e6 * seconds / frames:.0f} us per frame")
    exact = np.array([log_mel(pcm, SPEC) for pcm in clips])
    error = np.abs(log_power(found, SPEC) - exact)
    print(f"error of ln(power): {_percentiles(error)}; features have a deviation of {exact.std():.2f}")
    normalization = Normalization.measured(exact.astype(np.float32))
    normalized = normalization.apply(exact.astype(np.float32))
    # What a converter takes for an input: the whole range of values in 256 steps.
    scale = float(np.ptp(normalized)) / 255
    zero_point = round(-128 - float(normalized.min()) / scale)
    front_end = FrontEnd.folded(SPEC, normalization, scale, zero_point)
    steps = np.abs(front_end.quantized(found).astype(int) - quantize(normalized, scale, zero_point))
    shares = ", ".join(f"{100 * (steps == step).mean():.3f} % by {step}" for step in range(steps.max() + 1))
    print(f"int8 features off: {shares} (a step is {scale:.4f} deviations)")
    return front_end


def print_cost(front_end: FrontEnd, pcm: Pcm) -> None:
    """Instructions and bytes of every build, whose features must be the host's."""
    for name, flags in BUILDS.items():
        with tempfile.TemporaryDirectory() as directory:
            run = run_on_cortex_m4(front_end, pcm, Path(directory), flags)
            weighed = footprint(front_end, Path(directory), flags)
        same = "equal bytes" if (run.clip_map == front_end.run(pcm)).all() else "OTHER BYTES"
        share = run.most_per_hop / (CORE_HZ * SPEC.hop_samples / 16000)
        print(
            f"{name}: {run.most_per_hop} instructions per hop ({100 * share:.1f} % of 64 MHz at one a cycle)"
            f", {run.per_map} per map, {same}; flash {weighed.code} code + {weighed.tables} tables, "
            f"RAM {weighed.ram} + {weighed.map_ram} for {SPEC.frames} rows"
        )


def print_microfrontend(pcm: Pcm) -> None:
    """Instructions and bytes of TensorFlow's micro frontend at the same window, hop and bands."""
    for flag in ("-O2", "-Os"):
        with tempfile.TemporaryDirectory() as directory:
            run = run_microfrontend(SPEC, pcm, Path(directory), (flag,))
        print(
            f"TensorFlow's micro frontend, Cortex-M4, {flag}: {run.most_per_frame} instructions per hop, "
            f"{run.most_without_reduction} without its reduction of noise; flash {run.code} code + "
            f"{run.starting_code} that makes its tables, RAM {run.ram} with tables"
        )
    print_errors_side_by_side(run, pcm)


def print_errors_side_by_side(run: MicrofrontendRun, pcm: Pcm) -> None:
    """Both front ends' errors of one clip, each against float64 of its own definition.

    Only where a band is within 40 dB of the clip's loudest: below that the two have floors that differ.
    """
    theirs, own = exact_microfrontend(SPEC, pcm), SPEC.model_copy(update={"clip_mean": "keep"})
    ours = log_mel_rows(pcm, own)
    found = level_rows(pcm, own) * LEVEL_STEP + level_offset(own)
    for name, exact, error in (
        ("this front end", ours, found - ours),
        ("TensorFlow's", theirs, run.log_power - theirs),
    ):
        loud = exact > exact.max() - np.log(1e4)
        # A constant is no error of what is normalised.
        off = np.abs(error[loud] - np.median(error[loud]))
        print(f"error of ln(power), bands within 40 dB of the loudest, {name}: {_percentiles(off)}")


def _percentiles(error: NDArray[np.float64]) -> str:
    parts = [f"{name} {np.quantile(error, share):.5f}" for name, share in (("median", 0.5), ("99 %", 0.99))]
    return ", ".join([*parts, f"most {error.max():.5f}"])


if __name__ == "__main__":
    main()
