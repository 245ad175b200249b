# SPDX-License-Identifier: Apache-2.0
"""What building a graph costs from 1000 to 100 000 embeddings: .venv/bin/python tools/bench_graph.py.

Made-up embeddings in groups of 16 similar ones. Each build is a process of its own, on one thread, from
arrays to the finished file. Seconds are of the processor, so that other work on the machine does not count;
memory is the most that was resident, less what was before the build. A builder that needs more than --seconds
is stopped, and larger sizes are not tried. Recall is the share of the exact graph's edges.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parents[1]))

from mcu_ser.recipe import GraphRecipe
from mcu_ser.train.graph_builder import build_graph

SIZES = (1_000, 3_000, 10_000, 30_000, 100_000)
GROUP = 16
# Within a group the cosine is 0.94 +- 0.01 at 64 dimensions; between groups it is 0 +- 0.13.
NOISE = 0.25
THRESHOLD = 0.9
# The exact graph comes first: the others are compared with it.
BUILDERS: dict[str, dict[str, Any]] = {
    "exact": {"builder": "exact"},
    "hnsw": {"builder": "hnsw"},
    "nsl, all pairs": {"builder": "nsl"},
    "nsl, 2 splits, 4 rounds": {"builder": "nsl", "lsh_splits": 2, "lsh_rounds": 4},
    "nsl, 12 splits, 40 rounds": {"builder": "nsl", "lsh_splits": 12, "lsh_rounds": 40},
}
IMPORTS = {"exact": (), "hnsw": ("faiss",), "nsl": ("mcu_ser.train.nsl_import",)}


def main() -> None:
    """Print a table of builders and sizes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dimensions", type=int, default=64, help="of an embedding (default 64)")
    parser.add_argument("--seconds", type=float, default=60, help="limit of one build (default 60)")
    parser.add_argument("--size", type=int, action="append", help="embeddings; default 1000 to 100000")
    parser.add_argument("--builder", choices=BUILDERS, action="append", help="beside exact; default all")
    parser.add_argument("--build", nargs=3, metavar=("BUILDER", "SIZE", "GRAPH"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.build:
        build(args.build[0], int(args.build[1]), args.dimensions, args.seconds, Path(args.build[2]))
        return
    names = ["exact", *(name for name in BUILDERS if name != "exact" and name in (args.builder or BUILDERS))]
    print(
        f"{args.dimensions} dimensions, threshold {THRESHOLD}, one thread, at most {args.seconds:g} s a build"
    )
    print("| embeddings | builder | seconds | memory, MB | edges | recall |\n|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as directory:
        for size in args.size or SIZES:
            names = print_size(names, size, args.dimensions, args.seconds, Path(directory))


def print_size(names: list[str], size: int, dimensions: int, seconds: float, directory: Path) -> list[str]:
    """A row per builder; the builders that were in time."""
    exact: set[str] | None = None
    in_time = []
    for name in names:
        path = directory / "graph.tsv"
        measured = built(name, size, dimensions, seconds, path)
        if measured is None:
            print(f"| {size} | {name} | more than {seconds:g} | | | |", flush=True)
            continue
        in_time.append(name)
        edges = pairs(path)
        exact = edges if name == "exact" else exact
        recall = f"{len(edges & exact) / len(exact):.4f}" if exact else ""
        print(
            f"| {size} | {name} | {measured['seconds']:.1f} | {measured['bytes'] / 1e6:.0f} "
            f"| {len(edges)} | {recall} |",
            flush=True,
        )
    return in_time


def built(name: str, size: int, dimensions: int, seconds: float, path: Path) -> dict[str, float] | None:
    """Seconds and bytes of a build in a process of its own; None when it was stopped."""
    limit = str(math.ceil(seconds))
    settings = ["--dimensions", str(dimensions), "--seconds", limit, "--build", name, str(size), str(path)]
    one_thread = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(
        [sys.executable, __file__, *settings],
        env=os.environ | one_thread,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode == -signal.SIGXCPU:
        return None
    if done.returncode:
        sys.exit(f"{name}, {size} embeddings:\n{done.stderr}")
    measured: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return measured


def build(name: str, size: int, dimensions: int, seconds: float, path: Path) -> None:
    """Build one graph and print what it cost."""
    # What a builder imports is not its work.
    for module in IMPORTS[BUILDERS[name]["builder"]]:
        import_module(module)
    embeddings = clustered(size, dimensions)
    ids = [f"utterance-{index:06d}" for index in range(size)]
    recipe = GraphRecipe(similarity_threshold=THRESHOLD, **BUILDERS[name])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.process_time()
    stop = math.ceil(start + seconds)
    resource.setrlimit(resource.RLIMIT_CPU, (stop, stop + 1))
    build_graph(ids, embeddings, recipe, seed=7, path=path)
    used = time.process_time() - start
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Linux counts in kilobytes.
    print(json.dumps({"seconds": used, "bytes": 1024 * (most - before)}))


def clustered(size: int, dimensions: int) -> NDArray[np.float32]:
    """Groups of `GROUP` similar embeddings in random order, float32 (size, dimensions)."""
    random = np.random.default_rng(1)
    centres = np.repeat(random.normal(size=(-(-size // GROUP), dimensions)), GROUP, axis=0)[:size]
    return random.permutation(centres + NOISE * random.normal(size=centres.shape)).astype(np.float32)


def pairs(path: Path) -> set[str]:
    """The edges of a graph file, each once."""
    edges = set()
    with path.open(encoding="utf-8") as stream:
        for line in stream:
            source, target, _ = line.split("\t")
            if source < target:
                edges.add(f"{source}\t{target}")
    return edges


if __name__ == "__main__":
    main()
