# SPDX-License-Identifier: Apache-2.0
"""The sketch of a board with a microphone, on an emulated Cortex-M4 behind a stand-in of the PDM library."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

import numpy as np
import pytest

from mcu_ser.cli.main import main
from mcu_ser.device.link import Link
from mcu_ser.features.listening import Gate, due_maps
from mcu_ser.generate.project import Project
from mcu_ser.listen.wav import read_recording
from mcu_ser.verify.listen_client import Decision, ListenClient, Sound
from mcu_ser.verify.protocol import ListenSource, crc32
from tests.arduino_firmware import (
    SketchEmulator,
    build_with_stand_in,
    microphone_image,
    require_arduino_tools,
)
from tests.hearing_model import front_end_of, hearing_model

pytestmark = pytest.mark.emulator

BOARD = "arduino_nano_33_ble_sense"
# What the sketch leaves out while the microphone settles.
SETTLING = 63 * 256
# The longer instructions take, the fewer of them there are between two blocks. This is chosen for a Cortex-M4
# whose flash has wait states.
CYCLES_PER_INSTRUCTION = 1.5
RNG = np.random.default_rng(8)
SECONDS = 4
PCM = (RNG.normal(0, 1, 16000 * SECONDS) * np.repeat([3000, 5, 3000, 20], 16000)).astype(np.int16)
HEARD = PCM[SETTLING:]
GATE = Gate.of_level(-45.0, 6)
# Red, green, blue.
COLOURS = {0: 1, 1: 2, 2: 4}


@pytest.fixture(scope="module")
def sketch(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return built(tmp_path_factory.mktemp("sketch"))


def built(directory: Path, edits: list[tuple[str, str, str]] | None = None) -> Project:
    require_arduino_tools("qemu-system-arm")
    project = hearing_model(directory / "model").project(BOARD, directory / "project")
    with pytest.MonkeyPatch.context() as monkeypatch:
        build_with_stand_in(project, directory, monkeypatch, edits or [])
    return project


def heard_image(directory: Path, cycles_per_instruction: float = CYCLES_PER_INSTRUCTION) -> Path:
    return microphone_image(directory / "heard.bin", PCM, cycles_per_instruction)


def listen(
    client: ListenClient, period: int, until_rows: int, *, send_sound: bool = False
) -> tuple[list[Decision], list[Sound]]:
    """What the board says of its microphone until a decision of that many rows."""
    client.hello()
    client.listen(ListenSource.MICROPHONE, period, GATE, send_sound=send_sound)
    decisions: list[Decision] = []
    sound: list[Sound] = []
    end = time.monotonic() + 120
    while not decisions or decisions[-1].rows < until_rows:
        assert time.monotonic() < end, "the board has fallen silent"
        for one in client.heard(1.0):
            if isinstance(one, Decision):
                decisions.append(one)
            else:
                sound.append(one)
    return decisions, sound


def require_hosts(decisions: list[Decision], period: int) -> None:
    """Each decision is that of what the microphone heard, without a gap."""
    expected = list(due_maps(HEARD, front_end_of(), period, GATE))[: len(decisions)]
    found = [(one.number, one.rows, one.is_open, one.power) for one in decisions]
    assert found == [(n, one.rows, one.is_open, one.power) for n, one in enumerate(expected)]
    for one, other in zip(decisions, expected, strict=True):
        assert one.features_crc == (crc32(other.features.tobytes()) if other.is_open else 0)


def test_no_block_is_lost_at_real_time_rate(sketch: Project, tmp_path: Path) -> None:
    with SketchEmulator(sketch.elf_path, heard_image(tmp_path)) as board, Link(board) as link:
        decisions, _ = listen(ListenClient(link), 4, 180)
        blocks, is_on, lights = board.microphone_report()
    assert is_on
    assert blocks >= 63 + 180
    require_hosts(decisions, 4)
    assert len(decisions) == 40
    assert {one.is_open for one in decisions} == {True, False}
    assert {(one.lost_blocks, one.lost_samples) for one in decisions} == {(0, 0)}
    assert lights in {0, *COLOURS.values()}


def test_what_was_heard_comes_over_the_line_meanwhile(sketch: Project, tmp_path: Path) -> None:
    with SketchEmulator(sketch.elf_path, heard_image(tmp_path)) as board, Link(board) as link:
        decisions, sound = listen(ListenClient(link), 8, 100, send_sound=True)
    require_hosts(decisions, 8)
    pcm = b"".join(one.pcm for one in sound)
    assert len(pcm) >= 2 * 100 * 256
    assert pcm == HEARD[: len(pcm) // 2].tobytes()
    assert decisions[-1].lost_blocks == 0


def test_a_model_that_takes_twenty_blocks_loses_none(tmp_path: Path) -> None:
    """The ring holds what is heard meanwhile: here 14 million instructions, 0.3 s of the board."""
    slow = "status = engine_invoke();"
    loop = "for (volatile uint32_t i = 0; i < 2000000u; i++) {\n  }\n  " + slow
    project = built(tmp_path, [("firmware/src/server_listen.c", slow, loop)])
    with SketchEmulator(project.elf_path, heard_image(tmp_path)) as board, Link(board) as link:
        decisions, _ = listen(ListenClient(link), 40, 144)
    require_hosts(decisions, 40)
    assert decisions[-1].lost_blocks == 0


def test_blocks_that_the_board_has_no_time_for_are_counted(tmp_path: Path) -> None:
    """The same model on every frame: more than the board can do."""
    slow = "status = engine_invoke();"
    loop = "for (volatile uint32_t i = 0; i < 2000000u; i++) {\n  }\n  " + slow
    project = built(tmp_path, [("firmware/src/server_listen.c", slow, loop)])
    with SketchEmulator(project.elf_path, heard_image(tmp_path)) as board, Link(board) as link:
        decisions, _ = listen(ListenClient(link), 1, 110)
        _, is_on, _ = board.microphone_report()
    assert is_on, "the library switches it off if the interrupt does not read"
    assert decisions[-1].lost_blocks > 0
    assert decisions[-1].lost_samples == 256 * decisions[-1].lost_blocks
    # Until the first is lost, all is as it should be.
    require_hosts([one for one in decisions if not one.lost_blocks], 1)


def test_the_light_shows_the_class(sketch: Project, tmp_path: Path) -> None:
    image = microphone_image(tmp_path / "loud.bin", np.tile(PCM[:16000], 12), CYCLES_PER_INSTRUCTION)
    with SketchEmulator(sketch.elf_path, image) as board, Link(board) as link:
        client = ListenClient(link)
        decisions, _ = listen(client, 30, 54)
        values = np.frombuffer(decisions[-1].output, np.int8)
        assert board.microphone_report()[2] == COLOURS[int(values.argmax())]
        client.stop()
        assert board.microphone_report()[1:] == (False, 0)


def test_a_new_session_switches_the_microphone_off(sketch: Project, tmp_path: Path) -> None:
    with SketchEmulator(sketch.elf_path, heard_image(tmp_path)) as board, Link(board) as link:
        client = ListenClient(link)
        listen(client, 4, 24)
        assert board.microphone_report()[1]
        client.hello()
        assert not board.microphone_report()[1]
        decisions, _ = listen(client, 4, 60)  # and it starts again, from the beginning
        require_hosts(decisions, 4)


def test_the_command_on_the_sketch(
    sketch: Project, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = tmp_path / "kept"
    with SketchEmulator(sketch.elf_path, heard_image(tmp_path)) as board:
        options = ["--port", board.url, "--seconds", "6", "--period", "8", "--json", "--record", str(kept)]
        assert main(["listen", str(sketch.root), *options]) == 0
    *decisions, last = map(json.loads, capsys.readouterr().out.splitlines())
    summary = last["summary"]
    assert summary["decisions"] == len(decisions) > 2
    assert (summary["lost_blocks"], summary["missing"]) == (0, 0)
    # The host computes the features of what came back.
    assert (summary["compared"], summary["wrong"]) == (summary["voiced"], 0)
    assert summary["voiced"] > 0
    heard = read_recording(kept / "heard.wav")
    assert (heard[: len(HEARD)] == HEARD[: len(heard)]).all()
    assert len(heard) >= 512 + 255 * 256 or len(heard) >= 256 * (decisions[-1]["rows"] + 1)


def test_the_command_says_that_blocks_were_lost_and_what_helps(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    slow = "status = engine_invoke();"
    loop = "for (volatile uint32_t i = 0; i < 2000000u; i++) {\n  }\n  " + slow
    project = built(tmp_path, [("firmware/src/server_listen.c", slow, loop)])
    with SketchEmulator(project.elf_path, heard_image(tmp_path)) as board:
        options = ["--port", board.url, "--seconds", "5", "--period", "1", "--gate-hops", "0"]
        assert main(["listen", str(project.root), *options]) == 0
    printed = capsys.readouterr().out
    assert re.search(r"; [1-9]\d* blocks of the microphone lost", printed)
    assert "LOST BLOCKS: the model takes longer" in printed
    assert "try: a longer --period" in printed


def test_a_board_without_a_microphone_has_none_of_it(tmp_path: Path) -> None:
    hearing = hearing_model(tmp_path / "model")
    plain = hearing.project("arduino_nano_33_ble", tmp_path / "plain")
    sense = hearing.project(BOARD, tmp_path / "sense")
    more = {"firmware/src/port_microphone.h", "firmware/src/port_microphone_pdm.cpp"}
    assert set(sense.manifest.files) - set(plain.manifest.files) == more
    assert "BOARD_MICROPHONE" not in (plain.root / "firmware/src/model_info.h").read_text()
    assert "mcu-ser listen" in (sense.root / "README.md").read_text()
    assert "listen" not in (plain.root / "README.md").read_text()
