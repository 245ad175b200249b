# SPDX-License-Identifier: Apache-2.0
"""Long conversations with a device: .venv/bin/python tools/soak_link.py [--messages N] [--faults SAMPLES].

Soak: N ECHO messages of random content and N INFER messages, each with its input, in one session. Every
answer is compared, and the resident memory of this process is printed from the start to the end. Sequence
numbers wrap on the way. --faults runs samples over a line on which bytes are dropped, flipped, doubled,
swapped, cut out, repeated, reordered, delayed and mixed with the chatter of other programs, up to 1 fault in
200 bytes, and counts the verdicts. The device is the firmware as a program of this computer, with a test
engine, or, with --emulated PROJECT, the emulated board of a built project.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt

sys.path.insert(0, str(Path(__file__).parents[1]))

from mcu_ser.convert.oracle import Oracle
from mcu_ser.device.device import Device
from mcu_ser.device.host_process import HostProcess
from mcu_ser.device.link import Link
from mcu_ser.device.start import open_emulated
from mcu_ser.errors import DeviceError
from mcu_ser.generate.project import Project
from mcu_ser.verify.client import Client
from tests.link_faults import FaultProxy
from tests.native_firmware import TestModel, build_native_firmware

MODEL = TestModel(input_bytes=60, output_bytes=70)
DISTANCES = (200, 500, 2000)  # bytes from one fault to the next
SAMPLES_PER_RUN = 50
SAMPLES_PER_MODEL_RUN = 500  # different inputs; more would only repeat them


class Work:
    """A device, inputs for it, and the outputs that are right."""

    def __init__(self, project: Project | None, directory: Path) -> None:
        self._project = project
        self._program = None if project else build_native_firmware(directory, MODEL, sanitize=False)
        count = SAMPLES_PER_MODEL_RUN
        if project:
            size = project.input.bytes
            self.x = np.random.default_rng(1).integers(-128, 128, (count, size)).astype(np.int8)
            expected = Oracle(project.model_path.read_bytes(), project.model_path.name).run(self.x)
            self.expected = [row.tobytes() for row in np.asarray(expected, np.int8)]
        else:
            self.x = MODEL.samples(count, seed=1)
            self.expected = [MODEL.expected_output(row.tobytes()) for row in self.x]

    @contextmanager
    def device(self) -> Iterator[Device]:
        """The device, started."""
        made = open_emulated(self._project) if self._project else HostProcess(self._program or Path())
        with made as device:
            yield device


def main() -> int:
    """Run what is asked for; returns 1 if an answer was wrong."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--messages", type=int, default=100_000, help="ECHO, and INFER (default 100,000)")
    parser.add_argument(
        "--faults", type=int, default=0, metavar="SAMPLES", help="on a bad line (default none)"
    )
    parser.add_argument(
        "--emulated", type=Path, metavar="PROJECT", help="a built project, in place of a program"
    )
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        work = Work(Project.load(args.emulated) if args.emulated else None, Path(directory))
        wrong = soak(work, args.messages) if args.messages else 0
        wrong += faults(work, args.faults) if args.faults else 0
    return int(wrong > 0)


def soak(work: Work, messages: int) -> int:
    """Prints memory and counts on the way; returns the number of wrong answers."""
    rng = random.Random(1)
    wrong = 0
    with work.device() as device, Link(device) as link:
        client = Client(link)
        hello = client.hello()
        before = client.stats()
        started = time.monotonic()
        for index in range(messages):
            if index % max(1, messages // 10) == 0:
                print(f"{index:>8} ECHO and INFER: {resident_kib()} KiB resident", flush=True)
            data = rng.randbytes(rng.randrange(hello.max_payload + 1))
            wrong += client.echo(data) != data
            which = index % len(work.x)
            wrong += client.run(index, work.x[which].tobytes()).output != work.expected[which]
        seconds = time.monotonic() - started
        after, stats = client.stats(), client.link_stats()
    counted = after.inferences - before.inferences
    print(f"{messages:>8} ECHO and INFER: {resident_kib()} KiB resident")
    print(
        f"{seconds:.0f} s, {stats.frames} frames sent, {stats.retries} again, {stats.bad_frames} damaged; "
        f"the device counted {counted} inferences, {after.duplicates - before.duplicates} repeated requests; "
        f"{wrong} wrong"
    )
    return wrong + int(counted != messages)


def faults(work: Work, samples: int) -> int:
    """Prints a line per fault rate; returns the number of wrong, lost or double-counted samples."""
    wrong = 0
    for distance in DISTANCES:
        verdicts: Counter[str] = Counter()
        kinds: Counter[str] = Counter()
        longest = 0.0
        for seed in range(-(-samples // (len(DISTANCES) * SAMPLES_PER_RUN))):
            started = time.monotonic()
            picked = np.random.default_rng(seed).integers(0, len(work.x), SAMPLES_PER_RUN)
            with work.device() as device, FaultProxy(device, rate=1 / distance, seed=seed) as proxy:
                verdicts.update(bad_line_run(proxy, work, picked))
            kinds.update(proxy.faults)
            longest = max(longest, time.monotonic() - started)
        print(
            f"1 fault in {distance} bytes: {dict(sorted(verdicts.items()))}, longest run {longest:.1f} s; "
            f"{kinds.total()} faults: {dict(sorted(kinds.items()))}",
            flush=True,
        )
        wrong += verdicts["wrong"] + verdicts["miscounted"]
    return wrong


def bad_line_run(proxy: FaultProxy, work: Work, picked: npt.NDArray[np.int64]) -> Counter[str]:
    """What became of the samples of one run."""
    verdicts: Counter[str] = Counter()
    try:
        with Link(proxy) as link:
            client = Client(link)
            client.hello()
            before = client.stats().inferences
            for index, which in enumerate(picked):
                right = client.run(index, work.x[which].tobytes()).output == work.expected[which]
                verdicts["right" if right else "wrong"] += 1
            if client.stats().inferences - before != len(picked):
                verdicts["miscounted"] += 1
    except DeviceError as error:
        print(f"ended with exit code {error.exit_code}: {error}")
        verdicts["not completed"] += len(picked) - verdicts.total()
    return verdicts


def resident_kib() -> int:
    """Resident memory of this process (Linux)."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    return 0


if __name__ == "__main__":
    sys.exit(main())
