# SPDX-License-Identifier: Apache-2.0
import json

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
