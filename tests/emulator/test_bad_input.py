# SPDX-License-Identifier: Apache-2.0
"""Everything a user or a board can do wrong: one clear error, the right exit code, nothing half written."""

import json
import shutil
import wave
from pathlib import Path

import numpy as np
import pytest

from mcu_ser.cli.main import main
from mcu_ser.programs import ARM_GCC, CMAKE, NINJA, QEMU_ARM
from tests.tflite_builder import TfliteBuilder
from tests.tiny_model import tiny_classifier

ABSENT = [program.command for program in (ARM_GCC, CMAKE, NINJA, QEMU_ARM) if program.find() is None]
needs_tools = pytest.mark.skipif(bool(ABSENT), reason=f"not installed: {', '.join(ABSENT)}")

pytestmark = pytest.mark.emulator


@pytest.fixture
def fails(capsys):
    """Run a command that must fail with one error; return its text."""

    def run(code, *arguments):
        capsys.readouterr()
        assert main([str(argument) for argument in arguments]) == code
        error = capsys.readouterr().err
        assert error.count("mcu-ser: error: ") == 1
        assert "Traceback" not in error
        return error.partition("mcu-ser: error: ")[2].strip()

    return run


@pytest.fixture
def generate_fails(fails, tmp_path):
    """Generate for a board from the content of a model; it must fail and leave nothing behind."""

    def run(code, model, *options):
        path = tmp_path / "model.tflite"
        path.write_bytes(model)
        board = () if "--board" in options else ("--board", "netduinoplus2")
        error = fails(code, "generate", path, *board, "--out", tmp_path / "project", *options)
        assert sorted(entry.name for entry in tmp_path.iterdir() if entry.name != "boards") == [
            "model.tflite"
        ]
        return error

    return run


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A built project for the emulated board."""
    directory = tmp_path_factory.mktemp("built")
    model = directory / "tiny.tflite"
    model.write_bytes(tiny_classifier())
    project = directory / "project"
    assert main(["generate", str(model), "--board", "netduinoplus2", "--out", str(project)]) == 0
    assert main(["build", str(project)]) == 0
    return project


def copy_sources(project, target):
    return Path(shutil.copytree(project, target, ignore=shutil.ignore_patterns("build")))


@pytest.mark.train
def test_no_corpus_at_the_path(fails, tmp_path):
    missing = tmp_path / "nowhere"
    run = tmp_path / "run"
    error = fails(2, "train", run, "--recipe", "ravdess-emodb", "--corpus-root", missing)
    assert str(missing) in error
    assert not (run / "train").exists()


@pytest.mark.train
def test_a_wav_of_zero_samples(fails, tmp_path):
    corpus = tmp_path / "corpora" / "emodb"
    (tmp_path / "corpora" / "ravdess").mkdir(parents=True)
    corpus.mkdir()
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(
        'name = "one"\n[corpora.source]\nreader = "emodb"\nleft_out_speakers = ["08"]\n'
        '[corpora.target]\nreader = "emodb"\ntest_speakers = ["08"]\n'
    )
    with wave.open(str(corpus / "03a01Fa.wav"), "wb") as stream:
        stream.setnchannels(1)
        stream.setsampwidth(2)
        stream.setframerate(16000)
    for seed, stem in enumerate(("03a01Wa", "08a01Wa", "08a01Fa")):
        with wave.open(str(corpus / f"{stem}.wav"), "wb") as stream:
            stream.setnchannels(1)
            stream.setsampwidth(2)
            stream.setframerate(16000)
            noise = np.random.default_rng(seed).integers(-3000, 3000, 8000).astype("<i2")
            stream.writeframes(noise.tobytes())
    run = tmp_path / "run"
    error = fails(2, "train", run, "--recipe", recipe, "--corpus-root", tmp_path / "corpora")
    assert "03a01Fa.wav" in error
    assert not (run / "train").exists()


@pytest.mark.parametrize("keep", [0, 4, 100, 0.5, 0.9])
def test_a_truncated_model(generate_fails, keep):
    model = tiny_classifier()
    length = keep if isinstance(keep, int) else int(len(model) * keep)
    assert "model.tflite" in generate_fails(2, model[:length])


def test_a_float_model(generate_fails):
    model = TfliteBuilder()
    x, y = (model.tensor((1, 4), "FLOAT32", name=name) for name in ("features", "scores"))
    model.operator("SOFTMAX", [x], [y], Beta=1.0)
    assert "int8" in generate_fails(2, model.build([x], [y]))


def test_an_unsupported_operator_is_named_with_its_layer(generate_fails):
    model = TfliteBuilder()
    x, y = (model.tensor((1, 4), scale=1.0, name=name) for name in ("features", "scores"))
    model.operator("CEIL", [x], [y])
    error = generate_fails(2, model.build([x], [y]))
    assert "CEIL" in error
    assert "scores" in error


def dense(inputs, outputs):
    model = TfliteBuilder()
    x = model.tensor((1, inputs), scale=0.5, name="features")
    weights = np.zeros((outputs, inputs), np.int8)
    matrix = model.tensor((outputs, inputs), scale=0.01, data=weights, name="dense/kernel")
    y = model.tensor((1, outputs), scale=0.5, name="dense")
    model.operator("FULLY_CONNECTED", [x, matrix, -1], [y])
    return model.build([x], [y])


def test_a_model_too_big_for_the_flash(generate_fails):
    error = generate_fails(1, dense(4096, 300))
    assert "netduinoplus2" in error
    assert "dense" in error
    assert "limit" in error


def test_a_model_too_big_for_the_ram(generate_fails):
    model = TfliteBuilder()
    x = model.tensor((1, 260, 250, 1), scale=0.5, name="log_mel")
    y = model.tensor((1, 260, 250, 1), scale=0.5, name="wide")
    model.operator("RELU", [x], [y])
    error = generate_fails(1, model.build([x], [y]))
    assert "netduinoplus2" in error
    assert "limit" in error
    assert "wide" in error or "RELU" in error


def test_an_unknown_board_lists_the_known_ones(generate_fails):
    assert "netduinoplus2" in generate_fails(2, tiny_classifier(), "--board", "no_such_board")


def test_an_engine_that_the_board_cannot_have(generate_fails):
    error = generate_fails(2, tiny_classifier(), "--engine", "tflm", "--board", "host")
    assert "engine 'tflm': does not exist on host; try: --engine aot" in error


@needs_tools
def test_no_compiler(fails, built, tmp_path, monkeypatch):
    project = copy_sources(built, tmp_path / "project")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "apt-get install" in fails(3, "build", project)
    assert not (project / "build").exists()


@needs_tools
def test_no_emulator(fails, built, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    error = fails(3, "verify", built, "--random", 2, "--out", tmp_path / "report", "--no-litert")
    assert "apt-get install qemu-system-arm" in error


@needs_tools
def test_run_finds_a_missing_compiler_before_it_trains(fails, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "apt-get install" in fails(3, "run", "--out", tmp_path / "run")
    assert not (tmp_path / "run").exists()


@needs_tools
def test_source_code_that_does_not_compile(fails, built, tmp_path):
    project = copy_sources(built, tmp_path / "project")
    (project / "src" / "runtime" / "engine_aot.c").write_text("int broken(;\n")
    assert "engine_aot.c" in fails(1, "build", project)


CRASHES = {
    "a fault": "*(volatile int *)0xFFFFFFF0u = 1;",
    "an undefined instruction": '__asm volatile("udf #0");',
    "a hang": "for (;;) { }",
}


@needs_tools
@pytest.mark.parametrize("how", ["a fault", "an undefined instruction"])
def test_firmware_that_crashes_in_mid_run(fails, built, tmp_path, how):
    project = copy_sources(built, tmp_path / "project")
    engine = project / "src" / "runtime" / "engine_aot.c"
    source = engine.read_text()
    start = source.index("{", source.index("int engine_invoke(void)")) + 1
    crash = f"\n  static int calls;\n  if (++calls == 3) {{ {CRASHES[how]} }}\n"
    engine.write_text(source[:start] + crash + source[start:])
    assert main(["build", str(project)]) == 0
    report = tmp_path / "report"
    error = fails(4, "verify", project, "--random", 6, "--out", report, "--no-litert")
    assert "sample 2 of 6" in error
    assert "pc 0x" in error
    document = json.loads((report / "report.json").read_text())
    assert document["verdict"] == "fail"
    assert document["reason"] == error


@pytest.fixture
def passed(built, tmp_path):
    """The report directory of a run that passed."""
    report = tmp_path / "report"
    assert main(["verify", str(built), "--random", "2", "--out", str(report), "--no-litert"]) == 0
    assert json.loads((report / "report.json").read_text())["verdict"] == "pass"
    return report


def verdict(report):
    path = report / "report.json"
    return json.loads(path.read_text())["verdict"] if path.exists() else None


@needs_tools
def test_an_older_pass_survives_a_refusal_but_no_run_that_fails(fails, built, passed, tmp_path, monkeypatch):
    verify = ("verify", built, "--out", passed, "--no-litert")
    fails(2, *verify, "--samples", tmp_path / "absent.npz")
    assert verdict(passed) == "pass"
    with monkeypatch.context() as patch:
        patch.setenv("PATH", str(tmp_path))
        fails(3, *verify, "--random", 2)
    assert verdict(passed) == "pass"
    fails(4, *verify, "--random", 2, "--port", "/dev/ttyNONE7")
    assert verdict(passed) == "fail"


@needs_tools
def test_an_older_pass_does_not_survive_an_interrupted_run(fails, built, passed, monkeypatch):
    def interrupted(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr("mcu_ser.verify.check.run_boards", interrupted)
    fails(130, "verify", built, "--out", passed, "--no-litert", "--random", 2)
    assert verdict(passed) == "fail"


@needs_tools
def test_sources_that_were_edited_after_the_build(fails, built, tmp_path):
    project = Path(shutil.copytree(built, tmp_path / "project", symlinks=True))
    source = project / "src" / "model" / "aot_model.c"
    source.write_text(source.read_text() + "\n")
    error = fails(2, "verify", project, "--random", 2, "--out", tmp_path / "report", "--no-litert")
    assert "src/model/aot_model.c is not what the firmware was built from" in error
    assert f"try: mcu-ser build {project}" in error


@needs_tools
def test_an_output_that_is_a_file_is_found_before_the_run(fails, built, tmp_path, monkeypatch):
    monkeypatch.setattr("mcu_ser.verify.check.run_boards", None)
    out = tmp_path / "report"
    out.write_text("mine")
    error = fails(2, "verify", built, "--random", 2, "--out", out, "--no-litert")
    assert "cannot be written (a part of its path is a file); try: another place" in error
    assert out.read_text() == "mine"


@needs_tools
def test_labels_are_text_and_no_markup(built, tmp_path, capsys):
    samples = tmp_path / "[bold]samples.npz"
    np.savez(samples, x=np.zeros((3, 60), np.int8), y=[0, 1, 2], labels=["[/red]", "[b]", ":smile:"])
    command = ["verify", str(built), "--samples", str(samples), "--out", str(tmp_path / "report")]
    assert main([*command, "--no-litert"]) == 0
    shown = capsys.readouterr().out
    assert all(text in shown for text in ("[/red]", "[b]", ":smile:", "[bold]samples.npz"))
