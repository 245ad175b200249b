# SPDX-License-Identifier: Apache-2.0
"""`mcu-ser listen` with firmware that runs as a program of this computer."""

import json
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from mcu_ser.board import load_board
from mcu_ser.cli.main import main
from mcu_ser.device.host_process import HostProcess
from mcu_ser.device.link import Link
from mcu_ser.features.front_end import FrontEnd
from mcu_ser.features.listening import Gate, due_maps
from mcu_ser.generate.project import generate
from mcu_ser.listen.session import ListenRequest, ListenSession
from mcu_ser.listen.wav import read_recording, write_recording
from mcu_ser.toolchain.build import build
from mcu_ser.verify.listen_client import Decision, ListenClient, Sound
from mcu_ser.verify.protocol import ListenSource, crc32
from tests.hearing_model import front_end_of, hearing_model
from tests.native_firmware import require_gcc
from tests.tiny_model import tiny_classifier

PCM = (np.random.default_rng(1).normal(0, 1, 24000) * np.repeat([5, 3000, 20], 8000)).astype(np.int16)
LABELS = ["--labels", "angry,happy,sad"]


@pytest.fixture(scope="module")
def hearing(tmp_path_factory):
    return hearing_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def project(hearing, tmp_path_factory):
    require_gcc()
    if shutil.which("cmake") is None or shutil.which("ninja") is None:
        pytest.skip("cmake or ninja is not installed")
    project = hearing.project("host", tmp_path_factory.mktemp("host") / "project")
    build(project)
    return project


@pytest.fixture
def wav(tmp_path):
    write_recording(tmp_path / "played.wav", PCM.tobytes())
    return tmp_path / "played.wav"


def expected(period, gate):
    return list(due_maps(PCM, front_end_of(), period, gate))


def test_a_recording_is_heard_and_every_map_is_the_hosts(project, wav, capsys) -> None:
    options = ["--wav", str(wav), "--speed", "full", "--period", "5", "--gate-dbfs", "-50", *LABELS]
    assert main(["listen", str(project.root), *options]) == 0
    *lines, counts, features = capsys.readouterr().out.splitlines()
    maps = expected(5, Gate.of_level(-50.0, 8))
    assert len(lines) == len(maps)
    for line, one in zip(lines, maps, strict=True):
        assert ("(silence)" in line) is not one.is_open
        assert line.startswith(f"{(512 + (one.rows - 1) * 256) / 16000:8.2f} s")
    voiced = sum(one.is_open for one in maps)
    assert 0 < voiced < len(maps)
    assert counts.startswith(f"{len(maps)} decisions up to 1.44 s, {voiced} of them on sound; 0 blocks")
    assert features == f"features: all {voiced} maps are the host's, byte for byte"


def test_json_lines_and_the_record(project, wav, tmp_path, capsys) -> None:
    options = ["--wav", str(wav), "--speed", "full", "--gate-hops", "0", "--json", *LABELS]
    assert main(["listen", str(project.root), *options, "--record", str(tmp_path / "kept")]) == 0
    captured = capsys.readouterr()
    *documents, last = map(json.loads, captured.out.splitlines())
    maps = expected(16, Gate())
    assert [one["features_crc32"] for one in documents] == [
        f"{crc32(m.features.tobytes()):08x}" for m in maps
    ]
    assert {one["label"] for one in documents} <= {"angry", "happy", "sad"}
    summary = last["summary"]
    assert (summary["decisions"], summary["compared"], summary["wrong"]) == (len(maps), len(maps), 0)
    assert (read_recording(tmp_path / "kept" / "heard.wav") == PCM).all()
    kept = (tmp_path / "kept" / "decisions.jsonl").read_text().splitlines()
    assert list(map(json.loads, kept)) == documents
    assert f"wrote {tmp_path / 'kept' / 'heard.wav'}\n" in captured.err
    assert f"next: mcu-ser listen {project.root} --wav {tmp_path / 'kept' / 'heard.wav'}" in captured.err


def test_real_time_takes_as_long_as_the_recording(project, wav, capsys) -> None:
    start = time.monotonic()
    assert main(["listen", str(project.root), "--wav", str(wav), "--seconds", "1.2"]) == 0
    assert time.monotonic() - start >= 1.2
    assert (
        f"{len(list(due_maps(PCM[:19200], front_end_of(), 16, Gate())))} decisions" in capsys.readouterr().out
    )


def test_a_port_needs_no_project(project, wav, capsys) -> None:
    with HostProcess(project.elf_path) as device:
        options = ["--port", device.url, "--wav", str(wav), "--speed", "full", "--gate-hops", "0"]
        assert main(["listen", *options]) == 0
        printed = capsys.readouterr().out
        assert "class 0 " in printed
        assert "features" not in printed
        assert main(["listen", "--port", device.url]) == 4
    assert re.fullmatch(
        r"mcu-ser: error: socket://\S+: the firmware has no microphone that starts; "
        r"try: --wav FILE, which plays one\n",
        capsys.readouterr().err,
    )


def test_other_features_fail_the_check(hearing, project, wav, tmp_path, capsys) -> None:
    """A board that runs another front end than the project's: the host's is changed behind its back."""
    front_end = FrontEnd.load(hearing.front_end)
    front_end.mean[2] += 40
    with HostProcess(project.elf_path) as device, Link(device) as link:
        client = ListenClient(link)
        client.hello()
        request = ListenRequest(8, Gate(), PCM, real_time=False)
        session = ListenSession(client, request)
        decisions = len(list(session.run()))
        session.heard.compare(PCM, front_end, request)
        assert decisions == session.heard.compared == session.heard.wrong > 3
        assert session.heard.first_wrong == 24
        session.heard.compare(PCM, FrontEnd.load(hearing.front_end), request)
        assert (session.heard.wrong, session.heard.first_wrong) == (0, None)
        session.heard.compare(PCM[:12000], FrontEnd.load(hearing.front_end), request)
        assert session.heard.wrong > 0, "a map that the host does not have is no equal one"


def test_a_terminal_gets_bars(project, wav) -> None:
    command = ["listen", str(project.root), "--wav", str(wav), "--speed", "full", "--gate-hops", "0", *LABELS]
    master, slave = pty.openpty()
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "90", "LINES": "30"}
    with subprocess.Popen(
        [sys.executable, "-m", "mcu_ser.cli.main", *command], stdout=slave, stderr=slave, env=environment
    ) as process:
        os.close(slave)
        shown = b""
        while True:
            try:
                data = os.read(master, 65536)
            except OSError:
                break
            if not data:
                break
            shown += data
        assert process.wait(timeout=60) == 0
    os.close(master)
    text = shown.decode()
    assert "█" in text
    assert "angry" in text
    assert "byte for byte" in text


def test_ctrl_c_keeps_what_was_heard(project, wav, tmp_path) -> None:
    kept = tmp_path / "kept"
    command = ["listen", str(project.root), "--wav", str(wav), "--period", "1", "--record", str(kept)]
    with subprocess.Popen(
        [sys.executable, "-m", "mcu_ser.cli.main", *command], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert "dBFS" in process.stdout.readline()
        process.send_signal(signal.SIGINT)
        rest, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "decisions up to" in rest
    assert f"wrote {kept / 'heard.wav'}" in rest
    heard = len((kept / "decisions.jsonl").read_text().splitlines())
    assert 1 <= heard < len(expected(1, Gate()))
    played = read_recording(kept / "heard.wav")
    assert len(list(due_maps(played, front_end_of(), 1, Gate()))) == heard
    assert (played == PCM[: len(played)]).all()


def test_what_the_device_sends_back_is_what_it_heard(project) -> None:
    with HostProcess(project.elf_path) as device, Link(device) as link:
        client = ListenClient(link)
        client.hello()
        client.listen(ListenSource.LINE, 4, Gate(), send_sound=True)
        said = []
        for at in range(0, 9000, 250):
            client.play(PCM[at : at + 250])
        client.settle()
        said = list(client.heard())
        client.stop()
    sound = [one for one in said if isinstance(one, Sound)]
    assert b"".join(one.pcm for one in sound) == PCM[:9000].tobytes()
    numbers = [one.number for one in said if isinstance(one, Decision)]
    assert numbers == list(range(len(list(due_maps(PCM[:9000], front_end_of(), 4, Gate())))))


def test_lost_decisions_are_counted(project, monkeypatch) -> None:
    """The first decision, and every third, do not arrive."""
    monkeypatch.setattr(
        ListenClient,
        "heard",
        _dropping(ListenClient.heard, lambda one: one.number % 3 == 1 or one.number == 0),
    )
    with HostProcess(project.elf_path) as device, Link(device) as link:
        client = ListenClient(link)
        client.hello()
        session = ListenSession(client, ListenRequest(4, Gate(), PCM, real_time=False))
        came = len(list(session.run()))
    numbers = range(len(expected(4, Gate())))
    lost = [n for n in numbers if n % 3 == 1 or n == 0]
    assert came == len(numbers) - len(lost)
    assert session.heard.missing == len([n for n in lost if n < max(set(numbers) - set(lost))])


def _dropping(heard, is_lost):
    def dropping(self, wait_s=0.0):
        return (one for one in heard(self, wait_s) if not is_lost(one))

    return dropping


def test_a_board_that_dies_is_an_error_and_its_record_is_kept(project, wav, tmp_path, capsys) -> None:
    """The firmware is killed after the first decision."""
    kept = tmp_path / "kept"
    with HostProcess(project.elf_path) as device:
        command = ["listen", "--port", device.url, "--wav", str(wav), "--period", "1", "--record", str(kept)]
        with subprocess.Popen(
            [sys.executable, "-m", "mcu_ser.cli.main", *command],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdout is not None
            process.stdout.readline()
            device.__exit__(None, None, None)
            rest, problem = process.communicate(timeout=60)
    assert process.returncode == 4
    assert re.search(r"mcu-ser: error: socket://\S+: went away", problem)
    assert f"wrote {kept / 'decisions.jsonl'}" in rest


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "listen: has neither a PROJECT nor a --port; try: mcu-ser listen --help"),
        (["PROJECT"], "host: has no microphone; try: --wav FILE, which plays a recording to it"),
        (["PROJECT", "--wav", "absent.wav"], "absent.wav: cannot be read (No such file or directory)"),
        (
            ["PLAIN", "--wav", "absent.wav"],
            "is firmware without a front end; try: mcu-ser generate with --front-end",
        ),
        (["PROJECT", "--wav", "WAV", "--labels", "a,b"], "--labels: names 2 classes, the model has 3"),
        (["PROJECT", "--wav", "WAV", "--labels", "a,,b"], "--labels: names 3 classes, the model has 3"),
    ],
)
def test_what_cannot_be_listened_to(project, wav, tmp_path, capsys, arguments, message) -> None:
    model = tmp_path / "plain.tflite"
    model.write_bytes(tiny_classifier())
    plain = generate(model, load_board("host"), "aot", tmp_path / "plain")
    names = {"PROJECT": str(project.root), "PLAIN": str(plain.root), "WAV": str(wav)}
    assert main(["listen", *(names.get(word, word) for word in arguments)]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    "option", [["--period", "0"], ["--period", "x"], ["--gate-dbfs", "1"], ["--gate-hops", "70000"]]
)
def test_options_out_of_range(option, capsys) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["listen", "--port", "p", *option])
    assert "is not a number from" in capsys.readouterr().err


def test_another_build_is_refused(hearing, project, wav, tmp_path, capsys) -> None:
    changed = FrontEnd.load(hearing.front_end)
    changed.mean[0] += 1
    changed.save(tmp_path / "changed.json")
    other = generate(
        hearing.model, load_board("host"), "aot", tmp_path / "second", front_end=tmp_path / "changed.json"
    )
    with HostProcess(project.elf_path) as device:
        options = ["--port", device.url, "--wav", str(wav)]
        assert main(["listen", str(other.root), *options]) == 4
    error = capsys.readouterr().err
    assert f"runs build {project.build_id}, the project is {other.build_id}; try: mcu-ser flash" in error
