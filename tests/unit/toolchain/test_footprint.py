# SPDX-License-Identifier: Apache-2.0
import shutil
import subprocess
from pathlib import Path

import pytest

from mcu_ser.board import Board, load_board, parse_board
from mcu_ser.errors import BudgetError, BuildError, ConfigError
from mcu_ser.toolchain.footprint import Symbol, measure, object_symbols, over_budget

SOURCE = """
const char table[3000] = {1};
int counted = 7;
char buffer[5000];
static int twice(int x) { return 2 * x; }
int (*volatile keep)(int) = twice;
void _start(void) { buffer[keep(counted)] = table[counted]; for (;;) {} }
"""


@pytest.fixture(scope="module")
def elf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    gcc = shutil.which("gcc")
    if gcc is None:
        pytest.skip("gcc is not installed")
    directory = tmp_path_factory.mktemp("elf")
    source, program = directory / "small.c", directory / "small"
    source.write_text(SOURCE)
    (directory / "objects").mkdir()
    flags = ["-O0", "-nostdlib", "-static", "-fno-pie", "-no-pie", "-fno-stack-protector"]
    subprocess.run([gcc, *flags, source, "-o", program], check=True, timeout=60)
    subprocess.run(
        [gcc, *flags, "-c", source, "-o", directory / "objects" / "small.c.o"], check=True, timeout=60
    )
    return program


def tiny_board(flash_bytes: int, ram_bytes: int, origin: int = 0, more: str = "") -> Board:
    """A board with flash at `origin`, RAM behind it, and `more` regions."""
    text = load_board("netduinoplus2").yaml_text
    for old, new in (
        ("bytes: 1048576", f"bytes: {flash_bytes}"),
        ("origin: 0x08000000", f"origin: {origin}"),
        ("bytes: 131072", f"bytes: {ram_bytes}"),
        ("origin: 0x20000000", f"origin: {origin + flash_bytes}"),
        ("\nbuild:\n", f"{more}\nbuild:\n"),
        ("arena_bytes: 114688", "arena_bytes: 0"),
        ("stack_bytes: 8192", "stack_bytes: 1024\n  data_bytes: 0"),
        ("flash_reserve_bytes: 32768", "flash_reserve_bytes: 0"),
    ):
        assert text.count(old) == 1
        text = text.replace(old, new)
    return parse_board(text, Path("tiny.yaml"))


def test_flash_and_ram_of_a_program_without_limits(elf: Path) -> None:
    footprint = measure(elf, load_board("host"))
    by_name = {section.name: section for section in footprint.sections}
    assert by_name[".bss"].bytes >= 5000
    assert by_name[".bss"].writable
    assert not by_name[".rodata"].writable
    assert footprint.ram_bytes == sum(s.bytes for s in footprint.sections if s.writable)
    assert 5004 <= footprint.ram_bytes < 6000
    assert 3000 <= footprint.flash_bytes < 5000 + 3000
    assert (footprint.flash_limit_bytes, footprint.ram_limit_bytes) == (None, None)


def test_program_that_fits_to_the_last_byte(elf: Path) -> None:
    native = measure(elf, load_board("host"))
    # Where the native program really lies: limits count bytes, wherever the linker put them.
    more = "  - {name: NATIVE, kind: flash, origin: 0x400000, bytes: 0x100000, source: gcc}\n"
    footprint = measure(elf, tiny_board(native.flash_bytes, native.ram_bytes, more=more))
    assert footprint.flash_bytes == footprint.flash_limit_bytes == native.flash_bytes
    assert footprint.ram_bytes == footprint.ram_limit_bytes == native.ram_bytes


def test_too_much_flash_or_ram_says_by_how_much_and_what(elf: Path) -> None:
    native = measure(elf, load_board("host"))
    with pytest.raises(BudgetError) as caught:
        measure(elf, tiny_board(native.flash_bytes - 1, 0x10000000))
    text = str(caught.value)
    assert text.startswith(
        "netduinoplus2: the firmware is 1 B too big for the flash (largest: table 3000 B, "
    )
    assert f"limit {native.flash_bytes - 1} B" in text
    with pytest.raises(BudgetError) as caught:
        measure(elf, tiny_board(0x10000000, native.ram_bytes - 5))
    assert "is 5 B too big for the RAM (largest: buffer 5000 B, keep 8 B, counted 4 B)" in str(caught.value)


def test_section_outside_of_memory_is_an_error(elf: Path) -> None:
    with pytest.raises(BuildError, match=r"section \S+ at 0x00400\w{3} \(\d+ B\) lies outside of the memory"):
        measure(elf, tiny_board(0x100000, 0x100000))


def test_symbols_of_objects_that_were_not_linked(elf: Path) -> None:
    # What Ninja leaves beside an object when it is interrupted.
    (elf.parent / "objects" / "small.c.o.d").write_text("small.c.o: small.c")
    symbols = {symbol.name: symbol for symbol in object_symbols(elf.parent)}
    assert symbols["table"] == Symbol("table", 3000, writable=False)
    assert symbols["buffer"] == Symbol("buffer", 5000, writable=True)
    assert symbols["twice"].writable is False
    assert object_symbols(elf.parent / "objects" / "none") == ()


def test_model_of_a_cplusplus_project_is_blamed_too(tmp_path: Path) -> None:
    """Engine tflm: what is too big is the model, in model_data.cpp."""
    compiler = shutil.which("g++")
    if compiler is None:
        pytest.skip("g++ is not installed")
    for suffix in ("cpp", "cc"):
        source = tmp_path / f"data.{suffix}"
        source.write_text(f"extern const char of_{suffix}[4000];\nconst char of_{suffix}[4000] = {{1}};\n")
        subprocess.run([compiler, "-c", source, "-o", f"{source}.obj"], check=True, timeout=60)
    symbols = object_symbols(tmp_path)
    assert {symbol.name for symbol in symbols} == {"of_cc", "of_cpp"}
    error = over_budget(load_board("netduinoplus2"), "flash", 12, 1048576, symbols)
    assert "(largest: of_cc 4000 B, of_cpp 4000 B)" in str(error)


def test_blame_is_left_out_when_nothing_is_known() -> None:
    error = over_budget(load_board("netduinoplus2"), "RAM", 12, 131072, ())
    assert str(error) == (
        "netduinoplus2: the firmware is 12 B too big for the RAM, limit 131072 B; "
        "try: a smaller model, or a board with more RAM"
    )


def test_what_is_no_elf_is_an_error(tmp_path: Path) -> None:
    build_dir = tmp_path / "my project" / "build"
    build_dir.mkdir(parents=True)
    message = r"cannot be read \(No such file or directory\); try: mcu-ser build "
    with pytest.raises(ConfigError, match=f"{message}PROJECT$"):
        measure(build_dir / "gone.elf", load_board("host"))
    (tmp_path / "my project" / "project.json").write_text("{}")
    with pytest.raises(ConfigError, match=f"{message}'{tmp_path}/my project'$"):
        measure(build_dir / "gone.elf", load_board("host"))
    for content in (b"", b"text", b"\x7fELF", b"\x7fELF" + b"\x00" * 60, b"\x7fELF\x01\x01" + b"\xff" * 50):
        (tmp_path / "bad.elf").write_bytes(content)
        with pytest.raises(ConfigError, match="is not an ELF file"):
            measure(tmp_path / "bad.elf", load_board("host"))


def test_symbol_table_that_is_damaged_is_an_error(elf: Path, tmp_path: Path) -> None:
    content = elf.read_bytes()
    # Elf64_Ehdr.e_shoff and e_shnum; Elf64_Shdr.sh_type of the symbol table is 2.
    table, count = int.from_bytes(content[0x28:0x30], "little"), int.from_bytes(content[0x3C:0x3E], "little")
    places = [table + 64 * index + 4 for index in range(count)]
    (place,) = (at for at in places if content[at : at + 4] == b"\x02\0\0\0")
    (tmp_path / "bad.elf").write_bytes(content[:place] + b"\x01" + content[place + 1 :])
    with pytest.raises(ConfigError, match="is not an ELF file"):
        measure(tmp_path / "bad.elf", load_board("host"))
