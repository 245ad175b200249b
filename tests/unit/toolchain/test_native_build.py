# SPDX-License-Identifier: Apache-2.0
"""Projects for this computer, built with its own CMake, Ninja and compiler."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from mcu_ser.errors import BuildError
from mcu_ser.generate.project import Project
from mcu_ser.toolchain.cmake_gcc import build, build_argv, configure_argv


def test_native_firmware_is_built_and_rebuilt(host_project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CC", "CMAKE_C_COMPILER_LAUNCHER", "COMPILER_PATH", "GCC_EXEC_PREFIX"):
        monkeypatch.setenv(name, "/no/such/thing")
    monkeypatch.setenv("CFLAGS", "-no-such-flag")
    first = build(host_project)
    assert first.elf == host_project.elf_path
    assert os.access(first.elf, os.X_OK)
    content = first.elf.read_bytes()
    assert first.footprint.flash_bytes > 1000
    assert build(host_project).elf.read_bytes() == content
    assert b"error" not in first.log.read_bytes()


def test_native_compiler_is_the_one_that_is_required(host_project: Project) -> None:
    build(host_project)
    cache = (host_project.build_dir / "CMakeCache.txt").read_text()
    compiler = re.search(r"^CMAKE_C_COMPILER:\w+=(.*)$", cache, re.MULTILINE)
    assert compiler is not None
    assert Path(compiler[1]).name == "gcc"


def test_moved_project_is_built_anew(host_project: Project, tmp_path: Path) -> None:
    content = build(host_project).elf.read_bytes()
    moved = tmp_path / "moved to träume (1)"
    shutil.move(host_project.root, moved)
    result = build(Project.load(moved))
    assert result.elf.read_bytes() == content, "the program does not depend on where it was built"


def test_real_compile_error_is_told_and_leaves_no_old_firmware(host_project: Project) -> None:
    host_project.build_dir.mkdir()
    host_project.elf_path.write_text("older firmware")
    source = host_project.root / "src" / "runtime" / "crc32.c"
    source.write_text(source.read_text() + "\nint unfinished(\n")
    with pytest.raises(BuildError, match=r"src/runtime/crc32\.c:\d+:\d+: error: "):
        build(host_project)
    assert not host_project.elf_path.exists()


def test_warning_stops_the_build(host_project: Project) -> None:
    source = host_project.root / "src" / "runtime" / "crc32.c"
    source.write_text(source.read_text() + "\nstatic int unused;\n")
    with pytest.raises(BuildError, match=r"unused.*-Werror"):
        build(host_project)


def test_build_command_of_the_readme_works_by_itself(host_project: Project) -> None:
    for argv in (configure_argv(), build_argv()):
        subprocess.run(argv, cwd=host_project.root, check=True, capture_output=True, timeout=120)
    assert host_project.elf_path.is_file()
    readme = (host_project.root / "README.md").read_text()
    assert " ".join(configure_argv()) in readme
    assert " ".join(build_argv()) in readme
