# SPDX-License-Identifier: Apache-2.0
import errno
import json
import os
from pathlib import Path

import pytest

from mcu_ser.artifacts import RunDir, replaced_directory, replaced_file, sha256_hex, write_text
from mcu_ser.errors import ConfigError


def everything_in(directory):
    return sorted(path.name for path in directory.iterdir())


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    target = tmp_path / "report.json"
    write_text(target, "old")
    with pytest.raises(RuntimeError), replaced_file(target) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert target.read_text() == "old"
    assert everything_in(tmp_path) == ["report.json"]


def test_a_failed_directory_leaves_the_old_one_and_nothing_else(tmp_path):
    target = tmp_path / "project"
    target.mkdir()
    (target / "kept").write_text("old")
    with pytest.raises(RuntimeError), replaced_directory(target) as staging:
        (staging / "half").write_text("new")
        raise RuntimeError
    assert everything_in(target) == ["kept"]
    assert everything_in(tmp_path) == ["project"]


def test_a_finished_directory_replaces_the_old_one(tmp_path):
    target = tmp_path / "project"
    target.mkdir()
    (target / "old").write_text("old")
    with replaced_directory(target) as staging:
        (staging / "new").write_text("new")
    assert everything_in(target) == ["new"]
    assert everything_in(tmp_path) == ["project"]


def test_the_old_directory_comes_back_when_the_new_one_cannot_take_its_place(tmp_path, monkeypatch):
    target = tmp_path / "project"
    target.mkdir()
    (target / "kept").write_text("old")
    rename = Path.rename

    def refusing(path, destination):
        if (path / "new").exists():
            raise PermissionError(errno.EACCES, "Permission denied")
        return rename(path, destination)

    monkeypatch.setattr(Path, "rename", refusing)
    message = r"project: cannot be written \(Permission denied\); try: another place"
    with pytest.raises(ConfigError, match=message), replaced_directory(target) as staging:
        (staging / "new").write_text("new")
    assert everything_in(target) == ["kept"]
    assert everything_in(tmp_path) == ["project"]


def test_an_old_directory_that_cannot_be_removed_is_no_failure(tmp_path, monkeypatch):
    target = tmp_path / "project"
    target.mkdir()
    (target / "kept").write_text("old")

    def refusing(path, *args, **kwargs):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "unlink", refusing)
    with replaced_directory(target) as staging:
        (staging / "new").write_text("new")
    assert everything_in(target) == ["new"]


def test_what_cannot_be_written_is_a_clear_error(tmp_path):
    (tmp_path / "file").write_text("")
    for path, reason in (
        (tmp_path / "file" / "report", "a part of its path is a file"),
        (tmp_path / "file" / "deeper" / "report", "a part of its path is a file"),
        (tmp_path / ("x" * 300), "File name too long"),
        (Path("/proc/no-such-place/report"), "No such file or directory"),
    ):
        message = rf"cannot be written \({reason}\); try: another place"
        with pytest.raises(ConfigError, match=message):
            write_text(path, "text")
        with pytest.raises(ConfigError, match=message), replaced_directory(path):
            pytest.fail("there is nothing to write to")
    (tmp_path / "directory").mkdir()
    with pytest.raises(ConfigError, match=r"cannot be written \(Is a directory\)"):
        write_text(tmp_path / "directory", "text")
    assert everything_in(tmp_path) == ["directory", "file"]


def test_a_device_or_pipe_is_not_replaced_by_a_file(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("/dev/null")
    for path in (tmp_path / "pipe", tmp_path / "link"):
        with pytest.raises(ConfigError, match="is not a regular file; try: another place"):
            write_text(path, "text")
    assert (tmp_path / "pipe").is_fifo()
    assert Path("/dev/null").is_char_device()
    assert everything_in(tmp_path) == ["link", "pipe"]


def test_a_link_stays_one_and_its_file_is_written(tmp_path):
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "old").write_text("old")
    for name in ("old", "new"):
        link = tmp_path / f"link to {name}"
        link.symlink_to(Path("there", name))
        write_text(link, "text")
        assert link.is_symlink()
        assert (tmp_path / "there" / name).read_text() == "text"
    assert everything_in(tmp_path / "there") == ["new", "old"]


def test_a_run_directory_that_cannot_be_used_is_a_clear_error(tmp_path):
    (tmp_path / "file").write_text("")
    for root, problem in (
        (tmp_path / "file" / "run", "cannot be read|cannot be written"),
        (tmp_path / ("x" * 300), "cannot be read"),
        (Path("/proc/no-such-place"), "cannot be written"),
    ):
        with pytest.raises(ConfigError, match=problem):
            RunDir(root).claim()
    (tmp_path / "manifest.json").mkdir()
    with pytest.raises(ConfigError, match=r"manifest\.json: cannot be read \(Is a directory\)"):
        RunDir(tmp_path).read_manifest()


def test_manifest_records_hashes_under_relative_names(tmp_path):
    run = RunDir(tmp_path / "run")
    outside = tmp_path / "foreign.tflite"
    write_text(outside, "model")
    write_text(run.samples, "samples")
    run.record_stage("convert", seed=3, read=[outside], wrote=[run.samples], versions={"numpy": "2"})
    run.record_stage("verify", seed=3, read=[run.samples], wrote=[], versions={})
    manifest = json.loads(run.manifest_path.read_text())
    assert manifest["stages"]["convert"] == {
        "seed": 3,
        "versions": {"numpy": "2"},
        "read": {"foreign.tflite": sha256_hex(b"model")},
        "wrote": {"convert/samples.npz": sha256_hex(b"samples")},
    }
    assert set(manifest["stages"]) == {"convert", "verify"}


@pytest.mark.parametrize("content", ["{", "[]", '{"stages": 3}'])
def test_a_damaged_manifest_is_refused(tmp_path, content):
    run = RunDir(tmp_path)
    run.manifest_path.write_text(content)
    with pytest.raises(ConfigError, match=r"manifest\.json: is not"):
        run.read_manifest()


def test_a_missing_artefact_names_the_command_that_makes_it(tmp_path):
    run = RunDir(tmp_path)
    with pytest.raises(ConfigError) as error:
        run.require(run.tflite, made_by="convert")
    assert str(error.value) == f"{tmp_path}: has no convert/model.tflite; try: mcu-ser convert {tmp_path}"


def test_only_a_run_directory_is_taken(tmp_path):
    run = RunDir(tmp_path / "new" / "run")
    run.claim()
    run.claim()
    run.record_stage("train", seed=1, read=[], wrote=[], versions={})
    write_text(run.recipe, "")
    run.claim()
    other = tmp_path / "photos"
    write_text(other / "holiday.jpg", "")
    with pytest.raises(ConfigError, match="is not empty and has no manifest"):
        RunDir(other).claim()
    with pytest.raises(ConfigError, match="is not a directory"):
        RunDir(other / "holiday.jpg").claim()
