# SPDX-License-Identifier: Apache-2.0
"""Wall time of `mcu-ser --help` as a whole process: .venv/bin/python tools/bench_startup.py [RUNS]."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

# Start-up is what a user waits for before anything happens; TensorFlow alone would take seconds.
TARGET_SECONDS = 0.3


def main() -> None:
    """Print minimum, median and maximum over the runs (default 20, after one warm-up)."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    command = [sys.executable, "-m", "mcu_ser.cli.main", "--help"]
    seconds = []
    for _ in range(runs + 1):
        start = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True, timeout=60)
        seconds.append(time.perf_counter() - start)
    measured = seconds[1:]
    print(
        f"mcu-ser --help, {runs} runs: min {min(measured):.3f} s, "
        f"median {statistics.median(measured):.3f} s, max {max(measured):.3f} s (target {TARGET_SECONDS} s)"
    )


if __name__ == "__main__":
    main()
