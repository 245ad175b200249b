# SPDX-License-Identifier: Apache-2.0
"""`mcu-ser report`: two runs of `verify` side by side, and the page of one."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mcu_ser.cli.console import Output, add_debug_option, add_json_option
from mcu_ser.shell_command import shell_command

if TYPE_CHECKING:
    from mcu_ser.report.diff import Difference

_DIFF = """\
Compare two runs over the same samples: two boards, two engines, two models. Runs of one model are compared
by the output bytes of every sample, runs of two models by the class that they decide for.
Exits like diff: 0 if both passed and every answer is equal, 1 if answers differ or a run failed or did not
come to its end, 2 if they cannot be compared (other samples, or no report of this version). Duration and
memory are shown and decide nothing.
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> argparse.ArgumentParser:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "report",
        help="compare two runs of verify, or write the page of one anew",
        description="Compare two runs of `mcu-ser verify`, or write the page of one anew.",
    )
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True, dest="action")
    diff = actions.add_parser(
        "diff",
        help="two runs side by side",
        description=_DIFF,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    for letter in "ab":
        diff.add_argument(
            letter, type=Path, metavar=letter.upper(), help="report directory of `verify`, or its report.json"
        )
    html = actions.add_parser(
        "html",
        help="write report.html of a report.json",
        description="Write report.html, the offline page for people, of the report.json of `mcu-ser verify`: "
        "after a newer mcu-ser, or into another directory. What was measured is not touched.",
    )
    html.add_argument("report", type=Path, metavar="DIR", help="report directory of `verify`")
    html.add_argument("--out", type=Path, metavar="DIR", help="another directory for the page")
    for action in (diff, html):
        add_json_option(action)
        add_debug_option(action)
    return parser


def run(args: argparse.Namespace) -> int:
    """Run the command; returns 1 if two runs differ, else 0."""
    output = Output(as_json=args.json)
    return _diff(output, args) if args.action == "diff" else _html(output, args)


def _html(output: Output, args: argparse.Namespace) -> int:
    from mcu_ser.report.page import write_page
    from mcu_ser.verify.report_schema import read_report

    directory = args.report if args.report.is_dir() else args.report.parent
    document = read_report(args.report)
    path = write_page(args.out or directory, document)
    output.document({"page": str(path), "verdict": document["verdict"]})
    output.wrote(path, next_command=shell_command("mcu-ser", "report", "diff", directory, "OTHER"))
    return 0


def _diff(output: Output, args: argparse.Namespace) -> int:
    from mcu_ser.report.diff import diff_reports
    from mcu_ser.verify.report_schema import read_report

    difference = diff_reports(read_report(args.a), read_report(args.b))
    _show(output, difference)
    output.document(difference.document())
    return 0 if difference.equal else 1


def _show(output: Output, difference: Difference) -> None:
    from rich.table import Table

    table = Table(title="two runs of mcu-ser verify", title_justify="left")
    for heading in ("", "A", "B", "B / A"):
        table.add_column(heading, justify="right" if heading else "left", overflow="fold")
    for row in _rows(difference):
        table.add_row(*row)
    output.table(table)
    if difference.answers is not None and difference.answers.named:
        output.table(_named(difference))
    output.say(f"{'equal' if difference.equal else 'different'}: {difference.reason}")


def _rows(difference: Difference) -> list[tuple[str, str, str, str]]:
    a, b = difference.a, difference.b
    document = difference.document()
    rows = [(key, a[key], b[key], "") for key in ("board", "engine", "verdict")]
    rows.append(("model SHA-256", a["model_sha256"][:16], b["model_sha256"][:16], ""))
    rows.append(("equal to the oracle", _identical(a), _identical(b), ""))
    if difference.uar_difference is not None:
        rows.append(("UAR on the device", _uar(a), _uar(b), f"{difference.uar_difference:+.3f} (B - A)"))
    rows.append(
        ("duration of an inference (median)", _duration(a), _duration(b), _ratio(difference.ticks_ratio))
    )
    rows += _features_rows(a, b)
    for name in ("flash", "ram"):
        key = f"{name}_bytes"
        rows.append((name, f"{a[key]:,} B", f"{b[key]:,} B", _ratio(document[f"{name}_ratio"])))
    stack = "stack_high_water_bytes"
    rows.append(("stack used", _bytes(a[stack]), _bytes(b[stack]), ""))
    answers = difference.answers
    if answers is not None:
        what = "outputs" if answers.by == "bytes" else "decisions"
        rows.append((f"{what} that differ", "", "", f"{answers.differing} of {answers.compared}"))
        rows.append(("decisions that differ", "", "", f"{answers.decisions_differing} of {answers.compared}"))
    return rows if answers is None or answers.by == "bytes" else rows[:-1]


def _features_rows(a: dict[str, Any], b: dict[str, Any]) -> list[tuple[str, str, str, str]]:
    """What was heard, and what the front end takes; only what both runs have can be divided."""
    from mcu_ser.report.audio import audio_facts, front_end_facts

    of_a, of_b = (
        dict(audio_facts(one)) | {f"front end, told: {name}": figure for name, figure in front_end_facts(one)}
        for one in (a, b)
    )
    return [(name, of_a.get(name, ""), of_b.get(name, ""), "") for name in of_a | of_b]


def _named(difference: Difference) -> Any:
    from rich.table import Table

    assert difference.answers is not None
    labels = difference.a["labels"]
    table = Table(title="samples whose answers differ, the first of them", title_justify="left")
    for heading in ("number", "sample", "A says", "B says"):
        table.add_column(heading, overflow="fold")
    for entry in difference.answers.named:
        said = [entry["a_class"], entry["b_class"]]
        names = [labels[index] if labels and index < len(labels) else f"class {index}" for index in said]
        table.add_row(str(entry["sample"]), entry["id"], *names)
    return table


def _identical(document: dict[str, Any]) -> str:
    return "unknown" if document["identical"] is None else f"{document['identical']} of {document['samples']}"


def _uar(document: dict[str, Any]) -> str:
    low, high = document["device"]["uar_interval"]
    return f"{document['device']['uar']:.3f} ({low:.3f} to {high:.3f})"


def _duration(document: dict[str, Any]) -> str:
    instructions, ticks = document["instructions"]["median"], document["ticks"]
    if instructions is not None:
        return f"{instructions:,} instructions"
    return "not measured" if ticks["median"] is None else f"{ticks['median']:,} {ticks['source']} ticks"


def _bytes(value: int | None) -> str:
    return f"{value:,} B" if value else "unknown"


def _ratio(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"
