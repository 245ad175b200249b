# SPDX-License-Identifier: Apache-2.0
"""Where the TFLite-Micro library for a Cortex-M comes from: a source tree in which its own Makefile has run.

The tree is searched in one place, the project's cmake/FindTFLM.cmake, so that an editor and mcu-ser find the
same; here is what goes into that search, and what its failure means.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mcu_ser.errors import ConfigError, ToolMissingError

if TYPE_CHECKING:
    from mcu_ser.board import Board

ROOT_VARIABLE = "TFLM_ROOT"
LIBRARY_VARIABLE = "TFLM_LIBRARY"

# Core -> TARGET_ARCH of TFLite-Micro's Makefile (cortex_m_generic_makefile.inc), without and with FPU.
_TARGET_ARCHS = {
    "cortex-m4": ("cortex-m4", "cortex-m4+fp"),
    "cortex-m7": ("cortex-m7", "cortex-m7+fp"),
    "cortex-m55": ("cortex-m55+nofp", "cortex-m55"),
}

# What find_package says; FindTFLM.cmake always gives a reason.
_NOT_FOUND = re.compile(r"Could NOT find TFLM.*?Reason given by package:(.*?)\n\s*\n", re.DOTALL)
_NO_CXX_HEADERS = re.compile(r"fatal error: (new|cstdint|cstddef|cstdio|algorithm|type_traits): No such file")


@dataclass(frozen=True)
class TflmLibrary:
    """The user's choice: the tree, and the library where the tree holds several; None to let CMake look.

    Without a choice CMake takes the tree from the environment variable TFLM_ROOT.
    """

    root: Path | None = None
    library: Path | None = None

    def cache_variables(self) -> dict[str, str]:
        """CMake cache variables that say the same."""
        chosen = {ROOT_VARIABLE: self.root, LIBRARY_VARIABLE: self.library}
        return {name: path.resolve().as_posix() for name, path in chosen.items() if path is not None}


def target_arch(board: Board) -> str | None:
    """TARGET_ARCH of TFLite-Micro's Makefile for a board; None where the Arduino library is compiled instead.

    Raises:
        ConfigError: The Makefile is not known to have the core.
    """
    if board.platform == "arduino":
        return None
    if board.mcu.core not in _TARGET_ARCHS:
        problem = f"core {board.mcu.core} is not known to TFLite-Micro's Makefile"
        raise ConfigError(board.id, problem, hint="--engine aot")
    return _TARGET_ARCHS[board.mcu.core]["fpu" in board.mcu.features]


def build_command(arch: str) -> str:
    """The command that makes the library, in the root of TFLite-Micro's source tree."""
    return (
        f"make -f tensorflow/lite/micro/tools/make/Makefile TARGET=cortex_m_generic TARGET_ARCH={arch} "
        "OPTIMIZED_KERNEL_DIR=cmsis_nn BUILD_TYPE=release microlite"
    )


def require_choice(board: Board, chosen: TflmLibrary, environment: Mapping[str, str]) -> None:
    """Check that somebody says where the library is, before anything is built.

    Raises:
        ToolMissingError: Nobody does; says how to make the library.
    """
    if chosen.root is None and not environment.get(ROOT_VARIABLE):
        raise _missing(board, "no library is named: --tflm-root and TFLM_ROOT are not set")


def library_of_build(build_dir: Path) -> TflmLibrary:
    """What the last build in a directory was told of the library, to build again with the same."""
    cache = build_dir / "CMakeCache.txt"
    text = cache.read_text(encoding="utf-8", errors="replace") if cache.is_file() else ""
    told = dict(re.findall(r"^(TFLM_ROOT|TFLM_LIBRARY):\w+=(.+)$", text, re.MULTILINE))
    paths = {name: Path(path) for name, path in told.items()}
    return TflmLibrary(paths.get(ROOT_VARIABLE), paths.get(LIBRARY_VARIABLE))


def library_failure(board: Board, log: str) -> ToolMissingError | None:
    """The error for a build whose log says that the library, or the C++ one beneath it, is not there."""
    found = _NOT_FOUND.search(log)
    if found is not None:
        reason = " ".join(found[1].split())
        if LIBRARY_VARIABLE in reason:  # there are several
            return ToolMissingError("TFLite-Micro", reason, hint="--tflm-library FILE")
        return _missing(board, f"its library is not found: {reason}")
    if _NO_CXX_HEADERS.search(log):
        return ToolMissingError(
            "libstdc++",
            "the C++ library of arm-none-eabi-gcc is not installed",
            hint="sudo apt-get install libstdc++-arm-none-eabi-newlib, or what it is called here",
        )
    return None


def _missing(board: Board, problem: str) -> ToolMissingError:
    arch = target_arch(board) or ""
    hint = f"--tflm-root DIR, DIR being a source tree of TFLite-Micro after: {build_command(arch)}"
    return ToolMissingError("TFLite-Micro", problem, hint=hint)
