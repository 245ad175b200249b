# SPDX-License-Identifier: Apache-2.0
import errno
import hashlib
import json
import re
import shlex
import shutil
import struct
from pathlib import Path
from typing import Any

import pytest

from mcu_ser import __version__
from mcu_ser.artifacts import sha256_hex
from mcu_ser.board import load_board, parse_board
from mcu_ser.cli.main import main
from mcu_ser.errors import BudgetError, ConfigError, ModelError
from mcu_ser.generate.engine_model import Arena
from mcu_ser.generate.project import Project, generate
from mcu_ser.resources import boards_dir, firmware_templates_dir
from tests.tiny_model import tiny_classifier

BOARDS = ("host", "netduinoplus2")


def tree(root: Path) -> dict[str, bytes]:
    return {
        path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()
    }


def macros(header: str) -> dict[str, str]:
    joined = header.replace("\\\n", " ")
    return {name: value.strip() for name, value in re.findall(r"^#define (\w+) (.+)$", joined, re.MULTILINE)}


@pytest.mark.parametrize("board", BOARDS)
def test_same_input_gives_the_same_bytes_and_no_path(tmp_path: Path, model: Path, board: str) -> None:
    other = tmp_path / "elsewhere" / "renamed.tflite"
    other.parent.mkdir()
    other.write_bytes(model.read_bytes())
    generate(model, load_board(board), "aot", tmp_path / "one")
    generate(other, load_board(board), "aot", tmp_path / "elsewhere" / "two")
    first = tree(tmp_path / "one")
    assert first == tree(tmp_path / "elsewhere" / "two")
    for name, content in first.items():
        assert str(tmp_path).encode() not in content, name
        assert b"my model" not in content, name
        assert str(firmware_templates_dir().parent).encode() not in content, name


@pytest.mark.parametrize("board", BOARDS)
def test_project_holds_the_runtime_as_it_is(tmp_path: Path, model: Path, board: str) -> None:
    project = generate(model, load_board(board), "aot", tmp_path / "project")
    runtime = firmware_templates_dir() / "runtime"
    copied = {
        name: content for name, content in tree(project.root).items() if name.startswith("src/runtime/")
    }
    for name, content in copied.items():
        assert content == (runtime / name.removeprefix("src/runtime/")).read_bytes()
    assert {"src/runtime/server.c", "src/runtime/engine_aot.c", "src/runtime/port.h"} <= copied.keys()
    assert "src/runtime/kernels/softmax.h" in copied
    assert "src/runtime/kernels/mean.h" not in copied, "only kernels that the model needs"


def test_project_gets_its_own_engine_alone(
    tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    templates = tmp_path / "templates"
    shutil.copytree(firmware_templates_dir(), templates)
    (templates / "runtime" / "engine_other.c").write_text("")
    for module in ("project", "project_files"):
        monkeypatch.setattr(f"mcu_ser.generate.{module}.firmware_templates_dir", lambda: templates)
    project = generate(model, load_board("host"), "aot", tmp_path / "project")
    engines = [name for name in project.manifest.files if "engine_" in name]
    assert engines == ["src/runtime/engine_aot.c"]


def test_project_carries_model_and_board(tmp_path: Path, model: Path) -> None:
    project = generate(model, load_board("netduinoplus2"), "aot", tmp_path / "project")
    assert project.model_path.read_bytes() == model.read_bytes()
    assert (project.root / "board.yaml").read_bytes() == (boards_dir() / "netduinoplus2.yaml").read_bytes()
    assert project.elf_path == tmp_path / "project" / "build" / "firmware.elf"


def test_load_gives_what_generate_gave(tmp_path: Path, model: Path) -> None:
    project = generate(model, load_board("host"), "aot", tmp_path / "project")
    loaded = Project.load(tmp_path / "project")
    assert loaded == project
    assert (loaded.input.shape, loaded.input.scale, loaded.input.zero_point, loaded.input.bytes) == (
        (1, 6, 5, 2),
        0.5,
        -3,
        60,
    )
    assert (loaded.output.name, loaded.output.shape) == ("emotion", (1, 3))
    assert (loaded.engine, loaded.model_sha256) == ("aot", sha256_hex(model.read_bytes()))
    assert loaded.arena_bytes > 0
    assert loaded.changed_files() == ()


def test_model_info_says_what_hello_must_say(tmp_path: Path, model: Path) -> None:
    project = generate(model, load_board("netduinoplus2"), "aot", tmp_path / "project")
    info = macros((project.root / "src" / "model" / "model_info.h").read_text())

    def initialiser(name: str) -> bytes:
        return bytes(int(byte, 16) for byte in re.findall(r"0x(..)", info[name]))

    assert initialiser("MODEL_SHA256").hex() == project.model_sha256
    assert initialiser("BUILD_ID").hex() == project.build_id
    assert (info["BOARD_ID"], info["ENGINE_NAME"]) == ('"netduinoplus2"', '"aot"')
    assert (info["MODEL_INPUT_BYTES"], info["MODEL_OUTPUT_BYTES"]) == ("60u", "3u")
    assert (info["MODEL_INPUT_RANK"], info["MODEL_INPUT_SHAPE"]) == ("4u", "{1, 6, 5, 2}")
    assert (info["MODEL_OUTPUT_RANK"], info["MODEL_OUTPUT_SHAPE"]) == ("2u", "{1, 3}")
    assert (info["MODEL_INPUT_ZERO_POINT"], info["MODEL_OUTPUT_ZERO_POINT"]) == ("-3", "-128")
    for side, scale in (("INPUT", 0.5), ("OUTPUT", 1 / 256)):
        bits = int(info[f"MODEL_{side}_SCALE_BITS"].rstrip("u"), 16)
        assert struct.unpack("<f", struct.pack("<I", bits)) == (scale,)


def test_manifest_names_every_file_with_its_hash(tmp_path: Path, model: Path) -> None:
    project = generate(model, load_board("netduinoplus2"), "aot", tmp_path / "project")
    files = tree(project.root)
    del files["project.json"]
    assert project.manifest.files == {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}


def test_build_id_covers_every_file_and_the_version(tmp_path: Path, model: Path) -> None:
    project = generate(model, load_board("netduinoplus2"), "aot", tmp_path / "project")
    files = tree(project.root)
    del files["project.json"]
    info = "src/model/model_info.h"
    lines = files[info].decode().splitlines(keepends=True)
    at = next(i for i, line in enumerate(lines) if line.startswith("#define BUILD_ID")) + 2
    lines[at] = "    " + "0x00, " * 16 + "\\\n"
    files[info] = "".join(lines).encode()
    digest = hashlib.sha256()
    for part in (__version__.encode(), *(p for name in sorted(files) for p in (name.encode(), files[name]))):
        digest.update(struct.pack("<Q", len(part)) + part)
    assert digest.hexdigest()[:32] == project.build_id


def test_build_id_tells_projects_apart(tmp_path: Path, model: Path) -> None:
    other = tmp_path / "other.tflite"
    other.write_bytes(tiny_classifier(seed=2))
    changed = load_board("host").yaml_text.replace("vendor: any", "vendor: some")
    ids = {
        generate(model, load_board("host"), "aot", tmp_path / "a").build_id,
        generate(model, load_board("netduinoplus2"), "aot", tmp_path / "b").build_id,
        generate(other, load_board("host"), "aot", tmp_path / "c").build_id,
        generate(model, parse_board(changed, Path("host.yaml")), "aot", tmp_path / "d").build_id,
    }
    assert len(ids) == 4


def test_linker_script_and_header_state_the_numbers_of_the_board(tmp_path: Path, model: Path) -> None:
    board = load_board("netduinoplus2")
    project = generate(model, board, "aot", tmp_path / "project")
    script = (project.root / "firmware.ld").read_text()
    regions = re.findall(
        r"^  (\w+) \((\w+)\) : ORIGIN = (0x[0-9A-F]+), LENGTH = (\d+)$", script, re.MULTILINE
    )
    assert [(name, int(origin, 16), int(length)) for name, _, origin, length in regions] == [
        (region.name, region.origin, region.bytes) for region in board.memory
    ]
    assert board.budget is not None
    assert f". = . + {board.budget.stack_bytes};" in script
    config = macros((project.root / "src" / "port" / "board_config.h").read_text())
    build: Any = board.build
    assert int(config["BOARD_CORE_HZ"].rstrip("u")) == board.mcu.clock_hz
    assert int(config["BOARD_UART_BASE"].rstrip("u"), 16) == build.uart.base
    assert int(config["BOARD_UART_IRQ"].rstrip("u")) == build.uart.irq
    assert int(config["BOARD_RCC_PLLCFGR"].rstrip("u"), 16) == build.clock.pllcfgr
    assert int(config["BOARD_UART_BAUD"].rstrip("u")) == board.serial.baud
    assert int(config["BOARD_TIM2_HZ"].rstrip("u")) == 2 * build.clock.apb1_hz
    assert config["BOARD_UART_APB"] == "2"
    ring = int(config["BOARD_RX_RING_BYTES"].rstrip("u"))
    assert ring & (ring - 1) == 0


def test_engine_tflm_does_not_exist_on_the_host(tmp_path: Path, model: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        generate(model, load_board("host"), "tflm", tmp_path / "project")
    assert str(caught.value) == "engine 'tflm': does not exist on host; try: --engine aot"
    assert not (tmp_path / "project").exists()


def test_engine_tflm_compiles_the_model_and_brings_what_finds_the_library(
    tmp_path: Path, model: Path
) -> None:
    project = generate(model, load_board("netduinoplus2"), "tflm", tmp_path / "project")
    files = project.manifest.files
    tflm = {f"src/model/{name}" for name in ("model_data.cpp", "op_resolver.h", "tensor_arena.h")}
    assert tflm | {"cmake/FindTFLM.cmake", "src/runtime/engine_tflm.cpp"} <= files.keys()
    assert not [name for name in files if "aot" in name or "kernels" in name or name.startswith("src/tflm")]
    lists = (project.root / "CMakeLists.txt").read_text()
    assert "  src/runtime/engine_tflm.cpp\n" in lists
    assert "set(TFLM_TARGET_ARCH cortex-m4+fp)\nfind_package(TFLM REQUIRED)\n" in lists
    manifest = project.manifest
    assert (manifest.engine, manifest.arena_basis) == ("tflm", "estimated")
    assert manifest.weight_bytes == model.stat().st_size
    assert manifest.macs == generate(model, load_board("host"), "aot", tmp_path / "aot").manifest.macs


def test_both_engines_say_the_same_of_input_and_output(tmp_path: Path, model: Path) -> None:
    board = load_board("netduinoplus2")
    projects = [generate(model, board, engine, tmp_path / engine) for engine in ("aot", "tflm")]
    assert projects[0].input == projects[1].input
    assert projects[0].output == projects[1].output


def test_an_arena_that_was_given_is_the_arena(tmp_path: Path, model: Path) -> None:
    board = load_board("netduinoplus2")
    project = generate(model, board, "tflm", tmp_path / "project", arena=Arena(4096, "given"))
    assert (project.arena_bytes, project.manifest.arena_basis) == (4096, "given")
    header = (project.root / "src" / "model" / "tensor_arena.h").read_text()
    assert "kTensorArenaSize = 4096;" in header
    assert "as given to the generator" in header


@pytest.mark.parametrize("size", [0, 496, 1000, -16])
def test_an_arena_that_is_none_is_refused(tmp_path: Path, model: Path, size: int) -> None:
    with pytest.raises(
        ConfigError, match=f"arena: of {size} B is none, limit a multiple of 16, at least 512"
    ):
        generate(model, load_board("netduinoplus2"), "tflm", tmp_path / "p", arena=Arena(size, "given"))


def test_the_arena_of_the_other_engine_cannot_be_given(tmp_path: Path, model: Path) -> None:
    with pytest.raises(ConfigError, match="plans its arena"):
        generate(model, load_board("netduinoplus2"), "aot", tmp_path / "p", arena=Arena(4096, "given"))


def test_an_arena_that_is_too_much_for_the_board_is_refused(tmp_path: Path, model: Path) -> None:
    with pytest.raises(BudgetError, match="arena needs 1048576 B"):
        generate(model, load_board("netduinoplus2"), "tflm", tmp_path / "p", arena=Arena(1 << 20, "given"))


def test_platform_without_template_is_refused(
    tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mcu_ser.generate.project.firmware_templates_dir", lambda: tmp_path)
    with pytest.raises(ConfigError, match="platform 'arduino': has no firmware template"):
        generate(model, load_board("arduino_nano_33_ble"), "aot", tmp_path / "project")


def test_unreadable_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="cannot be read"):
        generate(tmp_path / "gone.tflite", load_board("host"), "aot", tmp_path / "project")
    (tmp_path / "bad.tflite").write_bytes(b"no model")
    with pytest.raises(ModelError, match=r"bad\.tflite"):
        generate(tmp_path / "bad.tflite", load_board("host"), "aot", tmp_path / "project")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.tflite"]


def test_model_that_does_not_fit_leaves_nothing(tmp_path: Path, model: Path) -> None:
    text = load_board("netduinoplus2").yaml_text.replace("arena_bytes: 114688", "arena_bytes: 128")
    with pytest.raises(BudgetError, match="netduinoplus2: arena needs"):
        generate(model, parse_board(text, Path("x.yaml")), "aot", tmp_path / "out" / "project")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["project.json", "model.tflite"])
def test_project_that_cannot_be_read_is_a_clear_error(
    tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    generate(model, load_board("host"), "aot", tmp_path / "project")
    opened = Path.open

    def refusing(path: Path, *args: Any, **kwargs: Any) -> Any:
        # By hand, because root may read what has no permission bits.
        if path.name == name:
            raise PermissionError(errno.EACCES, "Permission denied")
        return opened(path, *args, **kwargs)

    monkeypatch.setattr(Path, "open", refusing)
    with pytest.raises(ConfigError, match=rf"{name}: cannot be read \(Permission denied\)"):
        Project.load(tmp_path / "project")


def test_directory_without_manifest_is_no_project(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"is not a firmware project \(no project\.json\)"):
        Project.load(tmp_path)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda d: d.update(format=1), "format: input should be 2"),
        (lambda d: d.pop("build_id"), "build_id: field required"),
        (lambda d: d.update(build_id="xyz"), "build_id: string should match"),
        (lambda d: d.update(speed=1), "speed: extra inputs are not permitted"),
        (lambda d: d["input"].update(scale=0), "input.scale: "),
        (lambda d: d["input"].update(scale=float("inf")), "input.scale: "),
        (lambda d: d["input"].update(zero_point=1.5), "input.zero_point: "),
        (lambda d: d["output"].update(bytes=4), "output: value error, 4 bytes, but an int8 tensor of shape"),
        (lambda d: d.update(executable="../../firmware"), "executable: string should match"),
        (lambda d: d["files"].update({"../a": "0" * 64}), "'../a' is not inside of the project"),
        (lambda d: d["files"].update({"/a": "0" * 64}), "'/a' is not inside of the project"),
        (lambda d: d.update(board="netduinoplus2"), "is for board netduinoplus2, board.yaml for host"),
        (lambda d: d.update(model_sha256="0" * 64), "model.tflite: is not the file that the project was"),
    ],
)
def test_damaged_manifest_is_a_clear_error(tmp_path: Path, model: Path, damage: Any, message: str) -> None:
    generate(model, load_board("host"), "aot", tmp_path / "project")
    path = tmp_path / "project" / "project.json"
    document = json.loads(path.read_text())
    damage(document)
    path.write_text(json.dumps(document))
    with pytest.raises(ConfigError) as caught:
        Project.load(tmp_path / "project")
    assert message in str(caught.value)
    path.write_text("{")
    with pytest.raises(ConfigError, match="content: "):
        Project.load(tmp_path / "project")


@pytest.mark.parametrize("name", ["model.tflite", "board.yaml"])
def test_model_and_board_of_a_project_cannot_be_swapped(tmp_path: Path, model: Path, name: str) -> None:
    generate(model, load_board("host"), "aot", tmp_path / "project")
    path = tmp_path / "project" / name
    path.write_bytes(path.read_bytes() + b"\n")
    with pytest.raises(ConfigError, match="is not the file that the project was generated from"):
        Project.load(tmp_path / "project")
    path.unlink()
    with pytest.raises(ConfigError, match="is not the file that the project was generated from"):
        Project.load(tmp_path / "project")


@pytest.mark.parametrize(
    ("board", "engine", "options"),
    [
        ("host", "aot", {}),
        ("netduinoplus2", "aot", {"layers": True, "baud": 9600}),
        ("netduinoplus2", "tflm", {"arena": Arena(4096, "given")}),
    ],
)
def test_the_hint_for_a_swapped_model_makes_the_same_project(
    tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch, board: str, engine: str, options: Any
) -> None:
    whole = generate(model, load_board(board), engine, tmp_path / "project", **options)
    whole.model_path.write_bytes(b"another")
    monkeypatch.chdir(tmp_path)
    for root, beside in ((Path("project"), Path("project-anew")), (whole.root, tmp_path / "project-anew")):
        with pytest.raises(ConfigError) as caught:
            Project.load(root)
        words = shlex.split(str(caught.value.hint))
        words[words.index("MODEL.tflite")] = str(model)
        assert main(words[1:]) == 0
        assert Project.load(beside).manifest == whole.manifest
    monkeypatch.chdir(whole.root)
    with pytest.raises(ConfigError) as caught:
        Project.load(Path())
    assert str(caught.value.hint).endswith(f"--out {whole.root}-anew")


def test_the_hint_for_a_manifest_that_cannot_be_read_is_another_directory(
    tmp_path: Path, model: Path
) -> None:
    root = generate(model, load_board("host"), "aot", tmp_path / "project").root
    (root / "project.json").write_text("{")
    with pytest.raises(ConfigError) as caught:
        Project.load(root)
    hint = f"mcu-ser generate MODEL.tflite --board BOARD --out {root}-anew"
    assert caught.value.hint == hint


def test_changed_files_are_named(tmp_path: Path, model: Path) -> None:
    project = generate(model, load_board("host"), "aot", tmp_path / "project")
    (project.root / "README.md").write_text("mine")
    (project.root / "src" / "runtime" / "crc32.c").unlink()
    assert project.changed_files() == ("README.md", "src/runtime/crc32.c")
