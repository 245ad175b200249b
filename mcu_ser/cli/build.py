# SPDX-License-Identifier: Apache-2.0
"""`mcu-ser build`: compiles a firmware project and shows flash and RAM against the board."""

from __future__ import annotations

import shlex
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from mcu_ser.cli.console import Output, add_json_option

if TYPE_CHECKING:
    import argparse

    from mcu_ser.generate.project import Project
    from mcu_ser.toolchain.footprint import Footprint


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> argparse.ArgumentParser:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "build",
        help="compile a firmware project; flash and RAM against the board",
        description="Compile a firmware project and show the flash and RAM it takes.",
    )
    parser.add_argument("project", type=Path, metavar="PROJECT", help="what `mcu-ser generate` wrote")
    parser.add_argument(
        "--tflm-root",
        type=Path,
        metavar="DIR",
        help="engine tflm: source tree of TFLite-Micro with its library made (default: TFLM_ROOT)",
    )
    parser.add_argument(
        "--tflm-library",
        type=Path,
        metavar="FILE",
        help="engine tflm: libtensorflow-microlite.a, where the tree holds several",
    )
    add_json_option(parser)
    return parser


def run(args: argparse.Namespace) -> int:
    """Run the command; returns 0."""
    from mcu_ser.generate.project import Project
    from mcu_ser.tflm.library import TflmLibrary
    from mcu_ser.toolchain.build import build, require_programs
    from mcu_ser.toolchain.build_record import LOG_NAME

    output = Output(as_json=args.json)
    project = Project.load(args.project)
    changed = project.changed_files()
    if changed:
        output.say(f"note: changed since it was generated: {', '.join(changed)}")
    if project.manifest.build == "arduino" and not project.build_dir.exists():
        require_programs(project.board, project.engine)  # without them nothing is downloaded
        log = project.build_dir / LOG_NAME
        output.say(f"note: a first build downloads the core and its compiler; {log} tells how far it is")
    result = build(project, TflmLibrary(args.tflm_root, args.tflm_library))
    show_footprint(output, result.footprint)
    output.document(
        {
            "board": project.board.id,
            "engine": project.engine,
            "build_id": project.build_id,
            "elf": str(result.elf),
            "changed_files": list(changed),
            **asdict(result.footprint),
        }
    )
    output.wrote(result.elf, next_command=_next_command(args.project, project))
    return 0


def _next_command(path: Path, project: Project) -> str:
    runs_here = project.board.emulator is not None or project.board.platform == "host"
    if not runs_here:
        return f"mcu-ser flash {shlex.quote(str(path))}"
    return f"mcu-ser verify {shlex.quote(str(path))} --samples SAMPLES.npz --out REPORT"


def show_footprint(output: Output, footprint: Footprint) -> None:
    """Print flash and RAM against the board."""
    from rich.table import Table

    table = Table()
    for heading in ("memory", "used", "limit", "used of it"):
        table.add_column(heading, justify="left" if heading == "memory" else "right")
    for name, used, limit in (
        ("flash", footprint.flash_bytes, footprint.flash_limit_bytes),
        ("RAM", footprint.ram_bytes, footprint.ram_limit_bytes),
        *_ram_regions(footprint),
    ):
        if limit is None:
            table.add_row(name, f"{used} B", "", "")
        else:
            table.add_row(name, f"{used} B", f"{limit} B", f"{100 * used / limit:.1f} %")
    output.table(table)


def _ram_regions(footprint: Footprint) -> list[tuple[str, int, int]]:
    """Rows for the regions that the RAM is made of, if there are several."""
    regions = [region for region in footprint.regions if region.kind == "ram"]
    return [(f"  {region.name}", region.bytes, region.limit_bytes) for region in regions if len(regions) > 1]
