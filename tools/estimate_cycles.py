# SPDX-License-Identifier: Apache-2.0
"""Estimated cycles of a model on a Cortex-M4: .venv/bin/python tools/estimate_cycles.py MODEL.tflite|ELF...

A .tflite is compiled as `generate --engine aot` does; an ELF is a firmware project's, whose function
aot_model_invoke is run. Prints instructions and cycles per layer and what they were made of; how cycles are
found, and what they leave out, is said in tests/cortex_m4_cycles.py.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from mcu_ser.aot.compile import compile_model
from tests.cortex_m4_cycles import Cycles, Estimate, disassemble, estimate, execute
from tests.cortex_m4_layers import build_program, missing_tools

MODELS = Path(__file__).resolve().parents[2] / "shared" / "models"
_LAYER = re.compile(r"(?:m0_)?layer_(\d+)_\w+$")
# Names of instructions that are printed.
_SHOWN = 12


def _layer(function: str) -> str | None:
    match = _LAYER.match(function.partition(".")[0])
    return None if match is None else match[1]


def estimates(path: Path, directory: Path) -> tuple[dict[str, Estimate], dict[str, int]]:
    """Estimates by layer, and the layers' multiply-accumulates, which are known of a .tflite."""
    elf, function, macs = path, "aot_model_invoke", {}
    if path.suffix == ".tflite":
        model = compile_model(path.read_bytes(), path.stem)
        elf, function = build_program([model], directory), "m0_aot_model_invoke"
        macs = {f"{layer.index:02d}": layer.macs for layer in model.layers}
    return estimate(execute(elf, function, _layer), disassemble(elf)), macs


def show(path: Path, layers: dict[str, Estimate], macs: dict[str, int]) -> None:
    """Print one line per layer, their sum, and the instructions that were executed most."""
    print(f"\n{path.stem:12} {'instructions':>14} {'cycles':>12} {'least':>12} {'most':>12}   per MAC")
    for name, layer in sorted(layers.items()):
        _line(f"layer {name}" if name else "between", layer.instructions, layer.cycles, macs.get(name, 0))
    mix: Counter[str] = sum((layer.mix for layer in layers.values()), Counter())
    total = sum(layer.instructions for layer in layers.values())
    cycles = sum((layer.cycles for layer in layers.values()), Cycles())
    _line("all", total, cycles, sum(macs.values()))
    print("  " + ", ".join(f"{name} {100 * count / total:.1f} %" for name, count in mix.most_common(_SHOWN)))


def _line(name: str, instructions: int, cycles: Cycles, macs: int) -> None:
    per_mac = (
        f"{cycles.likely / macs:.2f} ({cycles.least / macs:.2f} to {cycles.most / macs:.2f})" if macs else ""
    )
    bounds = f"{cycles.likely:12,.0f} {cycles.least:12,.0f} {cycles.most:12,.0f}"
    print(f"{name:12} {instructions:14,} {bounds}   {per_mac}")


def main() -> int:
    """Estimate every program."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("programs", nargs="*", type=Path, help=".tflite or ELF (default: ../shared/models)")
    arguments = parser.parse_args()
    if missing_tools():
        parser.error(f"not installed: {', '.join(missing_tools())}")
    for path in arguments.programs or sorted(MODELS.glob("*.tflite")):
        with tempfile.TemporaryDirectory() as directory:
            show(path, *estimates(path, Path(directory)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
