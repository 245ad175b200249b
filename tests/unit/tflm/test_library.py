# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

import pytest

from mcu_ser.board import list_boards, load_board
from mcu_ser.errors import ConfigError, ToolMissingError
from mcu_ser.tflm.library import (
    TflmLibrary,
    build_command,
    library_failure,
    library_of_build,
    require_choice,
    target_arch,
)

BOARD = load_board("netduinoplus2")
# The targets of TFLite-Micro's cortex_m_generic_makefile.inc that have an FPU in single precision or better.
ARCHS = {"cortex-m4": "cortex-m4+fp", "cortex-m7": "cortex-m7+fp", "cortex-m55": "cortex-m55"}
NOT_FOUND = """\
-- Detecting CXX compile features - done
CMake Error at /usr/share/cmake-3.25/Modules/FindPackageHandleStandardArgs.cmake:230 (message):
  Could NOT find TFLM (missing: _tflm_library)

      Reason given by package: /opt/tflm has no libtensorflow-microlite.a for cortex-m4+fp

Call Stack (most recent call first):
  cmake/FindTFLM.cmake:52 (find_package_handle_standard_args)
"""


def test_the_target_follows_core_and_fpu():
    for board in list_boards():
        if board.platform in {"host", "arduino"}:
            continue
        assert target_arch(board) == ARCHS[board.mcu.core]
    soft = BOARD.model_copy(update={"mcu": BOARD.mcu.model_copy(update={"features": ("dsp",)})})
    assert target_arch(soft) == "cortex-m4"
    assert target_arch(load_board("arduino_nano_33_ble")) is None


def test_a_core_without_target_is_an_error():
    odd = BOARD.model_copy(update={"mcu": BOARD.mcu.model_copy(update={"core": "cortex-m0"})})
    with pytest.raises(ConfigError, match="core cortex-m0 is not known to TFLite-Micro's Makefile"):
        target_arch(odd)


def test_nobody_says_where_the_library_is():
    with pytest.raises(ToolMissingError) as caught:
        require_choice(BOARD, TflmLibrary(), {"TFLM_ROOT": ""})
    assert str(caught.value) == (
        "TFLite-Micro: no library is named: --tflm-root and TFLM_ROOT are not set; try: --tflm-root DIR, DIR "
        "being a source tree of TFLite-Micro after: make -f tensorflow/lite/micro/tools/make/Makefile "
        "TARGET=cortex_m_generic TARGET_ARCH=cortex-m4+fp OPTIMIZED_KERNEL_DIR=cmsis_nn BUILD_TYPE=release "
        "microlite"
    )
    require_choice(BOARD, TflmLibrary(), {"TFLM_ROOT": "/opt/tflm"})
    require_choice(BOARD, TflmLibrary(root=Path("/opt/tflm")), {})


def test_what_is_chosen_goes_to_cmake(tmp_path):
    assert TflmLibrary().cache_variables() == {}
    library = tmp_path / "lib.a"
    chosen = TflmLibrary(tmp_path, library)
    assert chosen.cache_variables() == {"TFLM_ROOT": str(tmp_path), "TFLM_LIBRARY": str(library)}


def test_what_a_build_was_told_is_told_again(tmp_path):
    assert library_of_build(tmp_path) == TflmLibrary()
    (tmp_path / "CMakeCache.txt").write_text(
        "//Source tree\nTFLM_ROOT:PATH=/opt/with space/tflm\n\nTFLM_LIBRARY:FILEPATH=\nTFLM_DIR:PATH=x\n"
    )
    assert library_of_build(tmp_path) == TflmLibrary(Path("/opt/with space/tflm"))


def test_a_search_that_fails_is_a_missing_tool_with_the_command_that_makes_it():
    error = library_failure(BOARD, NOT_FOUND)
    assert error is not None
    assert error.exit_code == 3
    reason = "/opt/tflm has no libtensorflow-microlite.a for cortex-m4+fp"
    assert error.problem == f"its library is not found: {reason}"
    assert build_command("cortex-m4+fp") in error.hint


def test_a_compiler_without_cxx_library_is_a_missing_tool():
    error = library_failure(BOARD, "engine_tflm.cpp:10:10: fatal error: new: No such file or directory")
    assert error is not None
    assert (error.subject, error.exit_code) == ("libstdc++", 3)


def test_another_failure_is_none_of_the_library():
    assert library_failure(BOARD, "main.c:3:1: error: expected ';'") is None
