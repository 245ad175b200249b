# SPDX-License-Identifier: Apache-2.0
"""Fuzzes the firmware's server under the sanitizers: .venv/bin/python tools/fuzz_frames.py [--inputs N].

What the inputs are, and what is checked, is said in tests/c/fuzz_server.c. Ends with 1 at the first finding,
and prints the sanitizer's report.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.fuzzed_server import build_fuzzer, fuzz

INPUTS_PER_PROCESS = 100_000


def main() -> int:
    """Run the fuzzer, one process per seed; returns 1 if it has found something."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=1_000_000, help="in all (default 1,000,000)")
    parser.add_argument("--seed", type=int, default=1, help="of the first process (default 1)")
    args = parser.parse_args()
    started = time.monotonic()
    total: dict[str, int] = {}
    with tempfile.TemporaryDirectory() as directory:
        program = build_fuzzer(Path(directory))
        for index, done in enumerate(range(0, args.inputs, INPUTS_PER_PROCESS)):
            inputs, seed = min(INPUTS_PER_PROCESS, args.inputs - done), args.seed + index
            try:
                counted = fuzz(program, inputs, seed, timeout_s=3600)
            except subprocess.CalledProcessError as error:
                print(f"found with {inputs} inputs of seed {seed}:\n{error.stderr}", file=sys.stderr)
                return 1
            total = {name: total.get(name, 0) + number for name, number in counted.items()}
            print(
                f"seed {seed}: {', '.join(f'{number:,} {name}' for name, number in counted.items())}",
                flush=True,
            )
    seconds = time.monotonic() - started
    print(
        f"nothing found: {', '.join(f'{number:,} {name}' for name, number in total.items())}; {seconds:.0f} s"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
