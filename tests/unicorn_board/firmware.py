# SPDX-License-Identifier: Apache-2.0
"""Firmware for the simulated boards: a build of each, and quick rebuilds for changed board files."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from collections.abc import Mapping
from pathlib import Path

from mcu_ser.board import Board
from mcu_ser.generate.project import Project, generate
from mcu_ser.toolchain.build import build

_CONFIG = "src/port/board_config.h"
_DEFINE = re.compile(r"^#define (\w+)", re.MULTILINE)


class Workbench:
    """The project of a board, built once; variants of the board compile only what their changes touch."""

    def __init__(self, board: Board, model: bytes, directory: Path) -> None:
        self._directory = directory
        self._variants = 0
        self._model_path = directory / "model.tflite"
        self._model_path.write_bytes(model)
        self.project = generate(self._model_path, board, "aot", directory / "project")
        self.elf = build(self.project).elf

    def variant(
        self, board: Board, *, baud: int | None = None, edits: Mapping[str, tuple[str, str]] | None = None
    ) -> Path:
        """The firmware as it would be for another board file. Its build id stays that of the first build.

        Args:
            board: The other board.
            baud: Bit rate, None for the board's.
            edits: Source in src/port -> (old text, new text): a mistake in a driver.
        """
        self._variants += 1
        root = self._directory / f"variant{self._variants}"
        project = generate(self._model_path, board, "aot", root, baud=baud)
        for name, (old, new) in (edits or {}).items():
            path = root / "src" / "port" / name
            text = path.read_text()
            assert text.count(old) == 1, f"{old!r} must stand in {name} once"
            path.write_text(text.replace(old, new))
        touched = sorted({*self._touched(project), *(f"src/port/{name}" for name in edits or {})})
        objects = [root / name for name in self._compile(project, touched)]
        replaced = {str(path.relative_to(root)) for path in objects}
        for path in sorted(self.project.build_dir.glob("CMakeFiles/firmware.dir/**/*.obj")):
            source = path.relative_to(self.project.build_dir / "CMakeFiles" / "firmware.dir")
            if source.as_posix() not in replaced:
                objects.append(path)
        elf = root / "firmware.elf"
        flags = self._command("main.c")
        machine = [flag for flag in flags if flag.startswith("-m")]
        subprocess.run(
            [
                *(flags[0], *machine, "-nostartfiles", "--specs=nano.specs", f"-T{root / 'firmware.ld'}"),
                *("-Wl,--gc-sections", *objects, "-o", elf),
            ],
            check=True,
            timeout=60,
        )
        return elf

    def _touched(self, project: Project) -> list[str]:
        """Sources, project-relative, that see a difference: all that use a definition that changed."""
        before = (self.project.root / _CONFIG).read_text().splitlines()
        after = (project.root / _CONFIG).read_text().splitlines()
        changed = "\n".join(line for line in {*before} ^ {*after} if line.startswith("#define "))
        words = set(_DEFINE.findall(changed))
        sources = sorted((project.root / "src" / "port").glob("*.[ch]"))
        using = [
            path
            for path in sources
            if path.name != "board_config.h" and words & set(re.findall(r"\w+", _code(path)))
        ]
        if any(path.suffix == ".h" for path in using):
            using = sources
        return [path.relative_to(project.root).as_posix() for path in using if path.suffix == ".c"]

    def _compile(self, project: Project, sources: list[str]) -> list[str]:
        """Compile `sources` of `project` as CMake did; returns the objects, project-relative."""
        objects = []
        for source in sources:
            command = [
                part.replace(str(self.project.root), str(project.root))
                for part in self._command(Path(source).name)
            ]
            objects.append(f"{source}.obj")
            command[command.index("-o") + 1] = str(project.root / objects[-1])
            subprocess.run(command, check=True, timeout=60)
        return objects

    def _command(self, source: str) -> list[str]:
        """The compiler call of the first build."""
        commands = json.loads((self.project.build_dir / "compile_commands.json").read_text())
        (command,) = (entry["command"] for entry in commands if Path(entry["file"]).name == source)
        return shlex.split(command)


def _code(path: Path) -> str:
    """The text of a C file without its comments."""
    return re.sub(r"/\*.*?\*/", "", path.read_text(), flags=re.DOTALL)
