# SPDX-License-Identifier: Apache-2.0
"""What a build leaves in PROJECT/build: a firmware or none, and the record of what it was built from."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mcu_ser.artifacts import canonical_json, sha256_file, write_text
from mcu_ser.errors import ConfigError
from mcu_ser.shell_command import shell_command
from mcu_ser.toolchain.footprint import Footprint, measure

if TYPE_CHECKING:
    from mcu_ser.generate.project import Project

LOG_NAME = "build.log"
# Of a finished build: path -> SHA-256 of every generated file, as it was compiled.
INPUTS_NAME = "inputs.json"
# What is made of the ELF for flash tools, beside it.
_IMAGE_SUFFIXES = (".bin", ".hex")
# Generated files that no build reads.
_FOR_PEOPLE = frozenset({"README.md", ".gitignore"})


@dataclass(frozen=True)
class BuildResult:
    """A firmware that was built and fits its board; `log` is what the tools said."""

    elf: Path
    footprint: Footprint
    log: Path


def finish_build(project: Project, compile_firmware: Callable[[Path], None]) -> BuildResult:
    """Run a build and vouch for it: measured, recorded, and nothing left of one that fails.

    Args:
        project: What to build; what an earlier build left is gone already (`discard_firmware`).
        compile_firmware: Leaves the ELF at `project.elf_path`, or raises; takes the path of the log.

    Raises:
        ConfigError: PROJECT/build cannot be written, or there is no good ELF.
        BuildError: The ELF is not one for the board.
        BudgetError: The firmware does not fit the board.
    """
    log = project.build_dir / LOG_NAME
    try:
        project.build_dir.mkdir(exist_ok=True)
        log.unlink(missing_ok=True)
    except OSError as error:
        raise _unwritable(project, error) from error
    inputs = _input_hashes(project)  # before the build: an edit while it runs counts as a later one
    try:
        compile_firmware(log)
        footprint = measure(project.elf_path, project.board)
        write_text(project.build_dir / INPUTS_NAME, canonical_json(inputs))
    except BaseException:
        discard_firmware(project)
        raise
    return BuildResult(project.elf_path, footprint, log)


def changed_since_build(project: Project) -> tuple[str, ...]:
    """Generated files that the firmware in PROJECT/build was not built from, project-relative, by name.

    Empty for a fresh build; the record's own name when no build was finished.
    """
    record = project.build_dir / INPUTS_NAME
    try:
        built = json.loads(record.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        built = None
    if not isinstance(built, dict):
        return (record.relative_to(project.root).as_posix(),)
    now = _input_hashes(project)
    return tuple(name for name in sorted(built.keys() | now.keys()) if built.get(name) != now.get(name))


def discard_firmware(project: Project) -> None:
    """Remove what an earlier build left: it must not pass for the firmware of a build that fails.

    Raises:
        ConfigError: It cannot be removed.
    """
    images = (project.elf_path.with_suffix(suffix) for suffix in _IMAGE_SUFFIXES)
    try:
        for path in (project.build_dir / INPUTS_NAME, project.elf_path, *images):
            path.unlink(missing_ok=True)
    except OSError as error:
        raise _unwritable(project, error) from error


def require_fresh_build(project: Project) -> None:
    """Check that the firmware is what the project's files make.

    Raises:
        ConfigError: It is not built, or not by `mcu-ser build`, or a file was changed since.
    """
    if not project.elf_path.is_file():
        raise ConfigError(project.root, "is not built", hint=shell_command("mcu-ser", "build", project.root))
    hint = shell_command("mcu-ser", "build", project.root)
    changed = changed_since_build(project)
    if changed == (f"{project.build_dir.name}/{INPUTS_NAME}",):
        problem = "its firmware was not built by `mcu-ser build`, which records what it was built from"
        raise ConfigError(project.root, problem, hint=hint)
    if changed:
        problem = f"{changed[0]} is not what the firmware was built from"
        raise ConfigError(project.root, problem, hint=hint)


def _input_hashes(project: Project) -> dict[str, str]:
    """Path -> SHA-256 of the generated files that are there and that a build reads."""
    paths = {name: project.root / name for name in project.manifest.files if name not in _FOR_PEOPLE}
    return {name: sha256_file(path) for name, path in paths.items() if path.is_file()}


def _unwritable(project: Project, error: OSError) -> ConfigError:
    return ConfigError(
        project.build_dir,
        f"cannot be written ({error.strerror or error})",
        hint="remove or rename it, or give it write permission",
    )
