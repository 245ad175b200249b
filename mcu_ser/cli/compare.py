# SPDX-License-Identifier: Apache-2.0
"""`mcu-ser compare`: two firmwares of one model side by side, from the map file to the output bytes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from mcu_ser.cli.console import Output, add_json_option
from mcu_ser.shell_command import shell_command

if TYPE_CHECKING:
    import argparse

# One line of the table: heading, A, B, and what the ratio is made of (None without one).
_Row = tuple[str, str, str, tuple[int, int] | None]

_DESCRIPTION = """\
Run the same samples on two firmware projects of one model, e.g. of the two engines, and show side by side
what their flash and RAM go to, how long an inference takes, and whether the output bytes are equal.
Exits with 0 if every byte of both equals the other's and the oracle's, with 1 if not, with 4 if a run could
not be completed. Without --port-a and --port-b the emulated boards are started.
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> argparse.ArgumentParser:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "compare",
        help="two firmwares of one model side by side: size, speed, bytes",
        description=_DESCRIPTION,
    )
    parser.add_argument("a", type=Path, metavar="PROJECT_A", help="firmware project, built")
    parser.add_argument("b", type=Path, metavar="PROJECT_B", help="another one of the same model, built")
    samples = parser.add_mutually_exclusive_group(required=True)
    samples.add_argument(
        "--samples", type=Path, metavar="NPZ", help="x (int8, or float features), optional y, labels, ids"
    )
    samples.add_argument("--random", type=int, metavar="N", help="N random int8 samples")
    parser.add_argument("--seed", type=int, default=1, help="of --random (default 1)")
    for letter in "ab":
        parser.add_argument(
            f"--port-{letter}", metavar="URL", help=f"port of the board that runs PROJECT_{letter.upper()}"
        )
    parser.add_argument("--out", type=Path, metavar="DIR", help="for compare.json")
    add_json_option(parser)
    return parser


def run(args: argparse.Namespace) -> int:
    """Run the command; returns 0 if every byte is equal, else 1."""
    from mcu_ser.compare.comparison import discard_comparison
    from mcu_ser.compare.run import compare, require_same_model
    from mcu_ser.generate.project import Project
    from mcu_ser.verify.samples import load_samples, random_samples

    output = Output(as_json=args.json)
    if args.out:
        discard_comparison(args.out)
    a, b = Project.load(args.a), Project.load(args.b)
    require_same_model(a, b)
    samples = (
        load_samples(args.samples, a.input, a.output.classes)
        if args.samples
        else random_samples(args.random, args.seed, a.input)
    )
    comparison = compare((a, b), samples, ports=(args.port_a, args.port_b), track=output.track)
    document = comparison.document()
    _show(output, document)
    wrote = [comparison.write(args.out)] if args.out else []
    output.document(document)  # last: an error of writing is a document too, and a program reads one
    output.wrote(*wrote, next_command=shell_command("mcu-ser", "inspect", a.model_path, "--board", "all"))
    return 0 if comparison.passed else 1


def _show(output: Output, document: dict[str, Any]) -> None:
    from rich.table import Table

    a, b = document["projects"]
    title = f"model SHA-256 {document['model_sha256'][:16]}..., {document['samples_origin']}; sizes in bytes"
    table = Table(title=title, title_justify="left")
    for heading in ("", "A", "B", "B / A"):
        table.add_column(heading, justify="right" if heading else "left", overflow="fold")
    for section in (
        _identity(a, b),
        _memory(a, b, "flash"),
        _memory(a, b, "ram"),
        _run_figures(document),
    ):
        for heading, left, right, ratio in section:
            table.add_row(heading, left, right, _ratio(ratio))
        table.add_section()
    output.table(table)
    for letter, side in (("A", a), ("B", b)):
        if side["flash_parts"] is None:
            output.say(
                f"note: the build of {letter} leaves no linker map: what its memory goes to is unknown"
            )
        if side["changed_files"]:
            output.say(f"note: changed in {letter} since generated: {', '.join(side['changed_files'])}")
    if not document["ticks_comparable"]:
        output.say("note: durations are not on equal ground: another board, counter or no measurement")
    output.say(f"verdict: {document['verdict']} ({document['reason']})")


def _identity(a: dict[str, Any], b: dict[str, Any]) -> list[_Row]:
    return [(key, a[key], b[key], None) for key in ("name", "board", "engine")]


def _memory(a: dict[str, Any], b: dict[str, Any], kind: str) -> list[_Row]:
    """Rows of "flash" or "ram": the parts that either side has, then the whole."""
    from mcu_ser.toolchain.firmware_parts import Part

    sides = [side[f"{kind}_parts"] for side in (a, b)]
    rows: list[_Row] = []
    for part in Part:
        if not any(parts and part.value in parts for parts in sides):
            continue
        sizes = [None if parts is None else parts.get(part.value, 0) for parts in sides]
        rows.append((f"{kind}: {part.value}", *_sizes(*sizes)))
    total = f"{kind}_bytes"
    return [*rows, (f"{kind}: total", *_sizes(a[total], b[total]))]


def _run_figures(document: dict[str, Any]) -> list[_Row]:
    a, b = document["projects"]
    total = document["samples"]
    rows: list[_Row] = [_duration(a, b, comparable=document["ticks_comparable"])]
    stack = "stack_high_water_bytes"
    rows.append(("stack used", *_sizes(a[stack] or None, b[stack] or None)))
    rows.append(("arena size is", a["arena_basis"], b["arena_basis"], None))
    equal = (f"{a['identical']} of {total}", f"{b['identical']} of {total}")
    rows.append(("outputs equal to the oracle's", *equal, None))
    both = f"{document['identical']} of {total}"
    return [*rows, ("outputs equal to each other", both, both, None)]


def _duration(a: dict[str, Any], b: dict[str, Any], *, comparable: bool) -> _Row:
    """Median duration of an inference, in whatever each board counts."""
    names, medians = [], []
    for side in (a, b):
        counted = side["instructions"]["median"] is not None
        names.append("instructions" if counted else f"{side['ticks']['source']} ticks")
        medians.append(side["instructions" if counted else "ticks"]["median"])
    shown = ["not measured" if median is None else f"{median:,}" for median in medians]
    if names[0] != names[1]:
        shown = [f"{text} {name}" for text, name in zip(shown, names, strict=True)]
    heading = f"{names[0] if names[0] == names[1] else 'duration'} per inference (median)"
    return heading, shown[0], shown[1], (medians[0], medians[1]) if comparable else None


def _sizes(a: int | None, b: int | None) -> tuple[str, str, tuple[int, int] | None]:
    shown = ["unknown" if size is None else f"{size:,}" for size in (a, b)]
    return shown[0], shown[1], None if a is None or b is None else (a, b)


def _ratio(values: tuple[int, int] | None) -> str:
    return "" if values is None or values[0] == 0 else f"{values[1] / values[0]:.2f}"
