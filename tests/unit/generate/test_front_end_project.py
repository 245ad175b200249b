# SPDX-License-Identifier: Apache-2.0
"""Projects whose firmware computes its input of audio: what is in them, what they need, what is refused."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from mcu_ser.board import list_boards, load_board
from mcu_ser.cli.main import main
from mcu_ser.errors import BudgetError, ConfigError
from mcu_ser.features.front_end import FrontEnd
from mcu_ser.generate.fit import find_fit
from mcu_ser.generate.front_end import front_end_size, front_end_sources, require_fitting_front_end
from mcu_ser.generate.manifest import read_manifest
from mcu_ser.generate.project import Project, generate
from mcu_ser.recipe import FeaturesRecipe
from mcu_ser.resources import firmware_templates_dir
from tests.hearing_model import Hearing, front_end_of, hearing_model
from tests.int16_model import ds_cnn
from tests.tiny_model import tiny_classifier

RUNTIME = firmware_templates_dir() / "runtime" / "front_end"
GENERATED = {"front_end_config.h", "front_end_tables.c"}


@pytest.fixture(scope="module")
def hearing(tmp_path_factory) -> Hearing:
    return hearing_model(tmp_path_factory.mktemp("hearing"))


def names(project: Project) -> set[str]:
    return {Path(name).name for name in project.manifest.files}


def test_the_project_has_runtime_tables_and_description(hearing, tmp_path) -> None:
    project = hearing.project("netduinoplus2", tmp_path / "project")
    for path in RUNTIME.iterdir():
        assert (project.root / "src/runtime/front_end" / path.name).read_bytes() == path.read_bytes()
    front_end = FrontEnd.load(hearing.front_end)
    for name, text in front_end_sources(front_end).items():
        assert (project.root / "src/model" / name).read_text() == text
    assert project.front_end_path is not None
    assert FrontEnd.load(project.front_end_path).as_document() == front_end.as_document()
    assert "#define MODEL_FRONT_END 1\n" in (project.root / "src/model/model_info.h").read_text()
    assert read_manifest(project.root).front_end
    cmake = (project.root / "CMakeLists.txt").read_text()
    for line in (
        "src/runtime/front_end/front_end.c",
        "src/model/front_end_tables.c",
        "src/runtime/front_end",
    ):
        assert f"  {line}\n" in cmake


def test_arduino_gets_all_of_it_in_one_directory(hearing, tmp_path) -> None:
    project = hearing.project("arduino_nano_33_ble", tmp_path / "project")
    own = {path.name for path in RUNTIME.iterdir()} | GENERATED
    assert own <= {path.name for path in (project.root / "firmware/src").iterdir()}


@pytest.mark.parametrize("board", ["host", "netduinoplus2", "arduino_nano_33_ble"])
def test_a_project_without_has_nothing_of_it(hearing, tmp_path, board) -> None:
    project = generate(hearing.model, load_board(board), "aot", tmp_path / "project")
    own = {path.name for path in RUNTIME.iterdir()} | GENERATED | {"front_end.json"}
    assert not names(project) & own
    assert not {name for name in names(project) if "audio" in name}
    assert "front_end" not in (project.root / "project.json").read_text()
    assert "FRONT_END" not in next(project.root.rglob("model_info.h")).read_text()
    assert project.front_end_path is None


def test_the_same_input_gives_the_same_bytes(hearing, tmp_path) -> None:
    one, two = (hearing.project("host", tmp_path / name) for name in ("one", "two"))
    assert one.manifest == two.manifest


def test_another_front_end_is_another_build(hearing, tmp_path) -> None:
    other = FrontEnd.load(hearing.front_end)
    other.mean[0] += 1
    other.save(tmp_path / "other.json")
    build_ids = {
        generate(hearing.model, load_board("host"), "aot", tmp_path / str(number), front_end=path).build_id
        for number, path in enumerate((hearing.front_end, tmp_path / "other.json"))
    }
    assert len(build_ids) == 2


def test_a_project_whose_front_end_was_changed_is_refused(hearing, tmp_path) -> None:
    project = hearing.project("host", tmp_path / "project")
    path = project.root / "front_end.json"
    path.write_text(path.read_text().replace('"zero_point": -3', '"zero_point": -4'))
    with pytest.raises(ConfigError, match=r"front_end\.json: is not the file that the project was generated"):
        Project.load(project.root)


@pytest.mark.parametrize(
    ("shape", "text"), [((1, 24, 9, 1), "1x24x9x1"), ((1, 8, 24, 1), "1x8x24x1"), ((1, 24, 8, 2), "1x24x8x2")]
)
def test_a_model_of_another_shape_is_refused(hearing, tmp_path, capsys, shape, text) -> None:
    model = tmp_path / "other.tflite"
    model.write_bytes(tiny_classifier(shape=shape, scale=0.025))
    options = ["--board", "host", "--front-end", str(hearing.front_end), "--out", str(tmp_path / "project")]
    assert main(["generate", str(model), *options]) == 2
    assert capsys.readouterr().err == (
        f"mcu-ser: error: {hearing.front_end}: gives 24 frames of 8 bands, the model takes {text}; "
        "try: the front_end.json that mcu-ser convert wrote beside the model\n"
    )
    assert not (tmp_path / "project").exists()


@pytest.mark.parametrize("change", [{"scale": 0.05}, {"zero_point": 0}])
def test_a_model_of_another_quantisation_is_refused(hearing, tmp_path, change) -> None:
    front_end = replace(FrontEnd.load(hearing.front_end), **change)
    front_end.save(tmp_path / "other.json")
    with pytest.raises(
        ConfigError, match=r"is for an input of scale 0\.0.* and zero point .*, the model's has"
    ):
        generate(
            hearing.model, load_board("host"), "aot", tmp_path / "out", front_end=tmp_path / "other.json"
        )


def test_a_model_of_16_bits_is_refused(hearing, tmp_path) -> None:
    model = tmp_path / "other.tflite"
    model.write_bytes(ds_cnn())
    with pytest.raises(ConfigError, match="gives INT8, the model takes INT16; try: a model of INT8"):
        generate(model, load_board("host"), "aot", tmp_path / "out", front_end=hearing.front_end)
    assert not (tmp_path / "out").exists()


def test_a_map_without_batch_or_channel_fits_too(hearing) -> None:
    class Entrance:
        shape, scale, zero_point = (1, 24, 8), front_end_of().scale, front_end_of().zero_point
        dtype = "INT8"

    require_fitting_front_end(front_end_of(), Entrance(), "INT8", "front end")


def test_the_size_is_that_of_the_recipe() -> None:
    def size(**changes):
        return front_end_size(front_end_of(FeaturesRecipe(**changes)))

    small, longer, finer = size(mels=8, frames=24), size(mels=8, frames=28), size(mels=9, frames=24)
    # Levels, and whether the hop was loud.
    assert longer.ram_bytes - small.ram_bytes == 4 * (2 * 8 + 1)
    assert finer.ram_bytes - small.ram_bytes == 2 * 24
    assert longer.flash_bytes == small.flash_bytes < finer.flash_bytes


def test_only_a_board_with_a_microphone_keeps_what_it_hears() -> None:
    size = front_end_size(front_end_of())
    plain, sense = (load_board(f"arduino_nano_33_ble{name}") for name in ("", "_sense"))
    assert size.on(plain).ram_bytes == size.ram_bytes
    assert size.on(sense).ram_bytes == size.ram_bytes + 2 * (8192 - 512) + 3 * 512
    assert size.on(sense).flash_bytes == size.flash_bytes


def test_what_the_front_end_takes_is_missing_for_the_arena(hearing) -> None:
    from mcu_ser.generate.engine_model import engine_model

    board = load_board("netduinoplus2")
    needs = engine_model(hearing.model.read_bytes(), "model", board, "aot").needs
    size = front_end_size(front_end_of())
    without, fit = find_fit(needs, board), find_fit(needs.with_front_end(size), board)
    assert fit.fits
    assert without.arena_limit - fit.arena_limit == size.ram_bytes
    assert without.flash_limit - fit.flash_limit == size.flash_bytes
    # A board with RAM to spare gives it from there.
    large = load_board("arduino_nano_33_ble")
    assert find_fit(needs.with_front_end(size), large).arena_limit == find_fit(needs, large).arena_limit
    host = find_fit(needs.with_front_end(size), load_board("host"))
    assert (host.arena_limit, host.flash_limit) == (None, None)


def test_a_front_end_that_leaves_too_little_is_refused(tmp_path) -> None:
    hearing = hearing_model(tmp_path, FeaturesRecipe(mels=64, frames=500))
    with pytest.raises(BudgetError, match=r"arena needs \d+ B.*limit \d+ B beside 6\d+ B of the front end"):
        hearing.project("nucleo_f401re", tmp_path / "project")


def test_every_board_takes_one(hearing, tmp_path) -> None:
    for board in list_boards():
        assert hearing.project(board.id, tmp_path / board.id).manifest.front_end


def test_generate_says_so(hearing, tmp_path, capsys) -> None:
    options = ["--board", "host", "--front-end", str(hearing.front_end), "--out", str(tmp_path / "project")]
    assert main(["generate", str(hearing.model), *options, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["front_end"] is True
    assert main(["generate", str(hearing.model), *options[:-1], str(tmp_path / "two")]) == 0
    assert "front end: flash " in capsys.readouterr().out


def test_inspect_counts_it(hearing, capsys) -> None:
    arguments = ["inspect", str(hearing.model), "--board", "netduinoplus2", "--engine", "aot"]
    assert main([*arguments, "--json"]) == 0
    plain = json.loads(capsys.readouterr().out)
    assert main([*arguments, "--front-end", str(hearing.front_end), "--json"]) == 0
    counted = json.loads(capsys.readouterr().out)
    size = front_end_size(front_end_of())
    assert plain["front_end"] is None
    taken = counted["front_end"]
    assert (taken["flash_bytes"], taken["ram_bytes"]) == (size.flash_bytes, size.ram_bytes)
    assert 20_000 < taken["instructions"]["per_frame"] < taken["instructions"]["per_frame_portable"] < 40_000
    (before,), (after,) = plain["boards"], counted["boards"]
    assert before["arena_limit"] - after["arena_limit"] == size.ram_bytes
    assert before["flash_limit"] - after["flash_limit"] == size.flash_bytes
    assert main([*arguments, "--front-end", str(hearing.front_end)]) == 0
    printed = capsys.readouterr().out
    assert f"RAM   {size.ram_bytes} B for the rows of the map" in printed
    assert f"--front-end {hearing.front_end} --out PROJECT" in printed
    cost = taken["instructions"]
    assert f"{cost['per_frame']:,} instructions of a Cortex-M4 every 16 ms" in printed
    assert cost["per_clip"] == front_end_of().spec.frames * cost["per_frame"] + cost["per_map"]
    assert f"{cost['per_clip']:,} for a clip as long as the map" in printed
    assert cost["per_frame"] < cost["cycles_per_frame"] < 2 * cost["per_frame"]
    assert f"estimated cycles, without wait states: {cost['cycles_per_frame']:,} per frame" in printed


def test_inspect_refuses_that_of_another_model(hearing, tmp_path, capsys) -> None:
    model = tmp_path / "other.tflite"
    model.write_bytes(tiny_classifier())
    assert main(["inspect", str(model), "--front-end", str(hearing.front_end)]) == 2
    assert "gives 24 frames of 8 bands, the model takes 1x6x5x2" in capsys.readouterr().err


@pytest.mark.parametrize("board", ["host", "netduinoplus2", "arduino_nano_33_ble"])
def test_the_readme_of_the_project_says_how_to_check_it(hearing, tmp_path, board) -> None:
    plain = generate(hearing.model, load_board(board), "aot", tmp_path / "plain").root / "README.md"
    text = (hearing.project(board, tmp_path / "project").root / "README.md").read_text()
    assert "\nmcu-ser verify . --input audio --samples AUDIO.npz --out REPORT" in text
    assert "`board.yaml`, `front_end.json` |" in text
    assert "\n\n\n" not in text
    assert "audio" not in plain.read_text()
