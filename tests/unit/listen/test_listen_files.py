# SPDX-License-Identifier: Apache-2.0
"""Recordings that are read and written, and how decisions are shown."""

import errno
import io
import json
import shutil
import wave
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from mcu_ser.errors import ConfigError
from mcu_ser.listen import show
from mcu_ser.listen.record import Recorder
from mcu_ser.listen.wav import read_recording, write_recording
from mcu_ser.verify.listen_client import Decision, ListenWindow, Sound
from mcu_ser.verify.messages import LAYOUTS, PayloadError

PCM = np.random.default_rng(0).integers(-32768, 32768, 1000).astype(np.int16)
WINDOW = ListenWindow(16000, 512, 24, 512, 256)
SCALE = show.Scale(("angry", "happy", "[b]sad"), 1 / 256, -128)


def decision(output: bytes = bytes([0x80, 0x7F, 0]), power: int = 1 << 20, **changes) -> Decision:
    values = {
        **{"number": 0, "rows": 101, "power": power, "lost_blocks": 0, "lost_samples": 0},
        **{"features_crc": 0xAB, "output_crc": 0xCD, "ticks": 7, "front_end_ticks": 8},
        **{"is_open": True, "engine_status": 0, "output": output},
    }
    return Decision(**values | changes)


SILENCE = {"output": b"", "is_open": False, "features_crc": 0, "output_crc": 0, "ticks": 0}


def write_wav(path, channels=1, width=2, rate=16000, data=None):
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate)
        file.writeframes(PCM.tobytes() if data is None else data)


def test_what_was_written_is_read(tmp_path) -> None:
    write_recording(tmp_path / "a.wav", PCM.tobytes())
    assert (read_recording(tmp_path / "a.wav") == PCM).all()


def test_other_recordings_are_converted(tmp_path) -> None:
    pytest.importorskip("soundfile")
    pytest.importorskip("soxr")
    write_wav(tmp_path / "stereo.wav", channels=2)
    assert len(read_recording(tmp_path / "stereo.wav")) == 500
    write_wav(tmp_path / "slow.wav", rate=8000)
    assert len(read_recording(tmp_path / "slow.wav")) == 2000


def test_what_is_no_recording_is_refused(tmp_path) -> None:
    with pytest.raises(ConfigError, match=r"absent\.wav: cannot be read \(No such file"):
        read_recording(tmp_path / "absent.wav")
    write_wav(tmp_path / "empty.wav", data=b"")
    with pytest.raises(ConfigError, match=r"empty\.wav: holds no sample"):
        read_recording(tmp_path / "empty.wav")
    pytest.importorskip("soundfile")
    pytest.importorskip("soxr")
    (tmp_path / "text.wav").write_text("no sound at all")
    with pytest.raises(ConfigError, match=r"text\.wav: cannot be read as audio.*; try: a wav or flac file"):
        read_recording(tmp_path / "text.wav")


def test_a_record_that_cannot_be_kept_is_refused_before_anything_is_heard(tmp_path) -> None:
    (tmp_path / "file").write_text("")
    for place in (tmp_path / "file", tmp_path / "file" / "record", Path("/proc/no-such-place")):
        with pytest.raises(ConfigError, match=r"cannot be written \(.*\); try: another place"):
            Recorder(place)
    recorder = Recorder(tmp_path / "new" / "directory")
    assert list((tmp_path / "new" / "directory").iterdir()) == []
    shutil.rmtree(tmp_path / "new")
    (tmp_path / "new").write_text("")
    with pytest.raises(ConfigError, match=r"heard\.wav: cannot be written \(a part of its path is a file\)"):
        recorder.write()


def test_a_full_disk_under_a_recording_is_a_clear_error(tmp_path, monkeypatch) -> None:
    def full(*args):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(wave.Wave_write, "writeframes", full)
    with pytest.raises(ConfigError, match=r"a\.wav: cannot be written \(No space left on device\)"):
        write_recording(tmp_path / "a.wav", PCM.tobytes())
    assert list(tmp_path.iterdir()) == []


def test_gaps_of_the_sound_are_zeros_and_counted(tmp_path) -> None:
    recorder = Recorder(tmp_path / "new" / "directory")
    recorder.sound(Sound(0, PCM[:100].tobytes()))
    recorder.sound(Sound(50, PCM[50:120].tobytes()))  # came twice in part
    recorder.sound(Sound(150, PCM[150:200].tobytes()))
    recorder.decision({"b": 1, "a": 2})
    recorder.decision({"c": None})
    wav, decisions = recorder.write()
    expected = PCM[:200].copy()
    expected[120:150] = 0
    assert (read_recording(wav) == expected).all()
    assert recorder.gap_samples == 30
    assert decisions.read_text() == '{"a": 2, "b": 1}\n{"c": null}\n'


def test_a_decision_as_json() -> None:
    document = show.document(decision(lost_blocks=2, lost_samples=512), WINDOW, SCALE)
    assert json.loads(json.dumps(document)) == {
        **{"seconds": 1.632, "rows": 101, "gate_open": True, "level_dbfs": -30.1, "label": "happy"},
        **{"output": [-128, 127, 0], "features_crc32": "000000ab", "output_crc32": "000000cd"},
        **{"model_ticks": 7, "front_end_ticks": 8, "lost_blocks": 2, "lost_samples": 512},
    }
    silence = show.document(decision(power=0, **SILENCE), WINDOW, SCALE)
    empty = ("level_dbfs", "label", "output", "features_crc32", "output_crc32", "model_ticks")
    assert [silence[name] for name in empty] == [None] * 6
    assert silence["gate_open"] is False


def test_a_decision_as_a_line() -> None:
    line = show.line(decision(), WINDOW, SCALE)
    assert line == "    1.63 s   -30.1 dBFS  happy 1.00  (angry 0.00  [b]sad 0.50)"
    assert show.line(decision(power=0, **SILENCE), WINDOW, SCALE) == "    1.63 s    -inf dBFS  (silence)"


def test_the_first_of_equal_scores_is_the_class() -> None:
    assert SCALE.best(bytes([5, 0x7F, 0x7F])) == 1
    assert SCALE.best(bytes([0xFF, 0x80, 0xFE])) == 0


def picture(one: Decision) -> list[str]:
    console = Console(file=io.StringIO(), width=100, markup=False)
    console.print(show.picture(one, WINDOW, SCALE))
    return console.file.getvalue().splitlines()


def test_bars_are_as_long_as_the_scores() -> None:
    meter, *bars = picture(decision())
    assert "1.63 s" in meter
    assert "-30.1 dBFS" in meter
    assert [bar.count("█") for bar in bars] == [0, 40, 20]
    assert [bar.split()[0] for bar in bars] == ["angry", "happy", "[b]sad"]
    assert meter.count("█") == 26


def test_silence_has_empty_bars_and_lost_blocks_are_named() -> None:
    lines = picture(decision(power=0, lost_blocks=3, **SILENCE))
    assert not any("█" in line for line in lines)
    assert "silence" in lines[1]
    assert "3 blocks lost" in lines[-1]


def test_a_decision_that_cannot_be_is_refused() -> None:
    fields = dict.fromkeys(
        ("number", "rows", "power", "lost_blocks", "lost_samples", "features_crc", "output_crc", "ticks"), 1
    )
    fields |= {"front_end_ticks": 1, "engine_status": 0, "reserved": 0}
    layout = LAYOUTS["DECISION"]
    assert Decision.unpack(layout.pack(fields | {"gate_open": 1}, b"xy")).output == b"xy"
    for gate_open, output in ((2, b""), (0, b"xy")):
        with pytest.raises(PayloadError, match="gate"):
            Decision.unpack(layout.pack(fields | {"gate_open": gate_open}, output))
    with pytest.raises(PayloadError, match="expected at least 40"):
        Decision.unpack(bytes(39))
    with pytest.raises(PayloadError, match="3 bytes of sound"):
        Sound.unpack(bytes(4) + b"odd")
