# SPDX-License-Identifier: Apache-2.0
"""`verify` over a bad line, and on boards that lie: the verdict is right, or there is none."""

import json
import re
import shutil
import socket
import threading
from xml.etree import ElementTree

import pytest

from mcu_ser.cli.main import main
from mcu_ser.device.start import open_emulated
from mcu_ser.generate.project import Project
from mcu_ser.programs import ARM_GCC, CMAKE, NINJA, QEMU_ARM
from mcu_ser.verify.messages import LAYOUTS
from mcu_ser.verify.protocol import Frame, FrameDecoder, MessageType, crc32, encode_frame
from mcu_ser.verify.samples import random_samples
from tests.link_faults import FaultProxy
from tests.lossy_link import hello_values
from tests.native_firmware import TestModel
from tests.tiny_model import tiny_classifier

ABSENT = [program.command for program in (ARM_GCC, CMAKE, NINJA, QEMU_ARM) if program.find() is None]

pytestmark = [
    pytest.mark.emulator,
    pytest.mark.skipif(bool(ABSENT), reason=f"not installed: {', '.join(ABSENT)}"),
]

SAMPLES = 24
REPORT_FILES = {"report.json", "junit.xml", "report.html", "journal.jsonl"}
LINES = {"clean": 0.0, "1 in 500": 1 / 500, "1 in 200": 1 / 200}


def build_project(directory, board):
    path = directory / "model.tflite"
    path.write_bytes(tiny_classifier())
    project = directory / board
    assert main(["generate", str(path), "--board", board, "--out", str(project)]) == 0
    assert main(["build", str(project)]) == 0
    return project


@pytest.fixture(scope="module")
def host_project(tmp_path_factory):
    return build_project(tmp_path_factory.mktemp("host"), "host")


@pytest.fixture(scope="module")
def stm32_project(tmp_path_factory):
    return build_project(tmp_path_factory.mktemp("stm32"), "netduinoplus2")


@pytest.fixture(scope="module")
def wrong_project(host_project, tmp_path_factory):
    """The firmware with a stray bit in a bias: right for some samples, wrong for others."""
    project = tmp_path_factory.mktemp("wrong") / "project"
    shutil.copytree(host_project, project, ignore=shutil.ignore_patterns("build"))
    weights = project / "src" / "model" / "aot_weights.c"
    text = weights.read_text()
    number = re.compile(r"0x[0-9a-f]{8}").search(text, text.rindex("= {"))
    flipped = f"{int(number.group(), 16) ^ 1 << 20:#x}"
    weights.write_text(text[: number.start()] + flipped + text[number.end() :])
    assert main(["build", str(project)]) == 0
    return project


def verify(project, out, *options):
    arguments = ["verify", project, "--random", SAMPLES, "--out", out, "--no-litert", *options]
    return main([str(argument) for argument in arguments])


def report_of(directory):
    return json.loads((directory / "report.json").read_text())


def verify_over(project, out, **line):
    """Exit code and report of a run over a line with faults."""
    with open_emulated(Project.load(project)) as device, FaultProxy(device, **line) as proxy:
        code = verify(project, out, "--port", proxy.url)
    assert line.get("rate", 0) == 0 or proxy.faults.total() > 0
    return code, report_of(out)


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("rate", LINES.values(), ids=LINES)
def test_right_firmware_passes_over_any_line(host_project, tmp_path, rate, seed):
    code, report = verify_over(host_project, tmp_path / "report", rate=rate, seed=seed)
    assert (code, report["verdict"], report["identical"]) == (0, "pass", SAMPLES)


@pytest.mark.parametrize("rate", [rate for rate in LINES.values() if rate])
def test_wrong_firmware_fails_over_any_line_with_the_same_samples(wrong_project, tmp_path, rate):
    reports = []
    for name, line in (("clean", 0.0), ("bad", rate)):
        code, report = verify_over(wrong_project, tmp_path / name, rate=line, seed=3)
        assert (code, report["verdict"]) == (1, "fail")
        reports.append(report)
    assert 0 < reports[0]["identical"] < SAMPLES
    assert reports[0]["mismatches"] == reports[1]["mismatches"]
    assert reports[0]["identical"] == reports[1]["identical"]


@pytest.mark.parametrize("rate", [1 / 1000, 1 / 300, 1 / 200])
def test_the_emulated_board_passes_over_a_bad_line(stm32_project, tmp_path, rate):
    code, report = verify_over(stm32_project, tmp_path / "report", rate=rate, seed=4)
    assert (code, report["verdict"], report["identical"]) == (0, "pass", SAMPLES)


@pytest.mark.parametrize("close_after", [100, 700, 1400])
def test_a_port_that_closes_gives_no_verdict(host_project, tmp_path, close_after, capsys):
    code, report = verify_over(host_project, tmp_path / "report", close_after=close_after)
    assert (code, report["verdict"]) == (4, "fail")
    assert report["reason"] in capsys.readouterr().err


class Liar:
    """Rewrites what a board answers for one input: a flipped output byte, and every CRC-32 right."""

    def __init__(self, data):
        self._input_crc = crc32(data)
        self._decoders = {True: FrameDecoder(), False: FrameDecoder()}
        self._asked = set()
        self.lies = 0

    def __call__(self, data, from_device):
        frames = self._decoders[from_device].feed(data)
        return b"".join(encode_frame(self._rewritten(frame)) for frame in frames)

    def _rewritten(self, frame):
        key = (frame.session, frame.seq)
        if frame.type == MessageType.INFER:
            if LAYOUTS["INFER"].unpack(frame.payload)[0]["input_crc"] == self._input_crc:
                self._asked.add(key)
        elif frame.type == MessageType.INFER_ANSWER and key in self._asked:
            values, output = LAYOUTS["INFER_ANSWER"].unpack(frame.payload)
            lie = bytes([output[0] ^ 0x01]) + output[1:]
            payload = LAYOUTS["INFER_ANSWER"].pack(values | {"output_crc": crc32(lie)}, lie)
            self.lies += 1
            return Frame(frame.type, frame.session, frame.seq, payload)
        return frame


@pytest.mark.parametrize("sample", [0, 17])
def test_a_board_that_answers_with_a_flipped_output_byte_is_caught_and_the_sample_named(
    host_project, tmp_path, sample, capsys
):
    samples = random_samples(SAMPLES, 1, Project.load(host_project).input)
    liar = Liar(samples.x[sample].tobytes())
    code, report = verify_over(host_project, tmp_path / "report", rewrite=liar)
    assert liar.lies > 0
    assert (code, report["verdict"], report["identical"]) == (1, "fail", SAMPLES - 1)
    (mismatch,) = report["mismatches"]
    assert mismatch["differing_bytes"] == 1
    assert str(sample) in json.dumps(mismatch)
    assert "verdict: fail" in capsys.readouterr().out


class ScriptedBoard:
    """A TCP port that answers every HELLO with the same claims; a context manager that gives its URL."""

    def __init__(self, **claims):
        self._payload = LAYOUTS["HELLO_ANSWER"].pack(hello_values(TestModel()) | claims)

    def __enter__(self):
        self._server = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._serve, daemon=True).start()
        return f"socket://127.0.0.1:{self._server.getsockname()[1]}"

    def __exit__(self, *error):
        self._server.close()

    def _serve(self):
        try:
            connection, _ = self._server.accept()
            decoder = FrameDecoder()
            with connection:
                while data := connection.recv(4096):
                    for frame in decoder.feed(data):
                        answer = Frame(MessageType.HELLO_ANSWER, frame.session, frame.seq, self._payload)
                        connection.sendall(encode_frame(answer))
        except OSError:
            return


@pytest.mark.parametrize(
    "claims",
    [
        {"board_id": b"../../../tmp/escaped"},
        {"board_id": b"</script><script>alert(1)"},
        {"board_id": b"\x1b]0;title\x07\r\n\x00]]>&\"'"},
        {"engine": b"\xff\x00\x1b[2J%s"},
        {"output_bytes": 0xFFFFFFFF, "input_bytes": 0xFFFFFFFF},
        {"max_payload": 0xFFFF, "credit": 0xFFFF},
        {"input_rank": 255},
    ],
    ids=str,
)
def test_a_hostile_board_writes_nothing_but_an_error(host_project, tmp_path, claims, capsys):
    out = tmp_path / "report"
    with ScriptedBoard(**claims) as url:
        assert verify(host_project, out, "--port", url) == 4
    assert [entry.name for entry in tmp_path.iterdir()] == ["report"]
    assert {entry.name for entry in out.iterdir()} <= REPORT_FILES
    report = report_of(out)
    assert report["verdict"] == "fail"
    assert report["reason"].isprintable()
    assert report["reason"] in capsys.readouterr().err
    ElementTree.parse(out / "junit.xml")
    page = out / "report.html"
    assert not page.exists() or "<script>alert" not in page.read_text()
