# SPDX-License-Identifier: Apache-2.0
"""Fuzzes the reader of .tflite files: .venv/bin/python tools/fuzz_reader.py [--inputs N] [MODEL...].

Damages small models of every operator (and any given) and gives them to reader, rules and compiler. Each
must compile or be refused with a McuSerError; anything else, such as another exception, a warning, 20 s of
work or 2 GB of memory, is a finding: it is printed with the seed that makes it again (--seed, --inputs 1),
the file is kept, and the exit code is 1.
"""

from __future__ import annotations

import argparse
import random
import resource
import sys
import time
import traceback
import warnings
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.mutated_models import damaged, outcome, undamaged

MEMORY_BYTES = 2 << 30
PROGRESS_EVERY = 10_000


def main() -> int:
    """Run the fuzzer."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="*", type=Path, help="further .tflite files to damage")
    parser.add_argument("--inputs", type=int, default=100_000, help="files to try (default 100,000)")
    parser.add_argument("--seed", type=int, default=0, help="of the first file (default 0)")
    parser.add_argument("--keep", type=Path, default=Path(), help="directory of findings")
    args = parser.parse_args()
    warnings.simplefilter("error")
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    files = undamaged() + [path.read_bytes() for path in args.models]
    started, outcomes, findings = time.monotonic(), Counter[str](), 0
    for number, seed in enumerate(range(args.seed, args.seed + args.inputs), 1):
        rng = random.Random(seed)
        file = damaged(files[seed % len(files)], files, rng)
        try:
            outcomes[outcome(file)] += 1
        except Exception:  # noqa: BLE001 - whatever it is, it is a finding
            findings += 1
            kept = args.keep / f"finding_{seed}.tflite"
            kept.write_bytes(file)
            print(f"seed {seed}, {kept}:\n{traceback.format_exc()}", flush=True)
        if number % PROGRESS_EVERY == 0:
            print(f"{number:,}: {dict(outcomes)}, {time.monotonic() - started:.0f} s", flush=True)
    counted = ", ".join(f"{count:,} {what}" for what, count in sorted(outcomes.items()))
    print(f"{args.inputs:,} files: {counted}; {findings} findings; {time.monotonic() - started:.0f} s")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
