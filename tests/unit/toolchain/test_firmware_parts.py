# SPDX-License-Identifier: Apache-2.0
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcu_ser.errors import ConfigError
from mcu_ser.toolchain.firmware_parts import (
    Part,
    divide,
    find_parts,
    flash_part,
    ram_part,
)
from mcu_ser.toolchain.footprint import ElfSection
from mcu_ser.toolchain.link_map import FILL, InputSection, OutputSection

BUILD = "CMakeFiles/firmware.dir/src"
LIBRARIES = "/usr/lib/gcc/arm-none-eabi/12.2.1/../../../arm-none-eabi/lib/thumb/v7e-m+fp/hard"
TFLM = "/opt/tflm/gen/lib/libtensorflow-microlite.a"


def entry(path, member="", name=".text.f", address=0, size=4):
    return InputSection(name, address, size, path, member)


@pytest.mark.parametrize(
    ("path", "member", "name", "part"),
    [
        (f"{BUILD}/model/aot_weights.c.obj", "", ".rodata.layer_00_conv_2d_weights", Part.MODEL),
        (f"{BUILD}/tflm/model_data.cc.obj", "", ".rodata.model_data", Part.MODEL),
        (f"{BUILD}/model/aot_model.c.obj", "", ".text.layer_00_conv_2d", Part.KERNELS),
        (f"{BUILD}/model/aot_model.c.obj", "", ".rodata.factors.0", Part.KERNELS),
        (f"{BUILD}/runtime/engine_aot.c.obj", "", ".text.engine_invoke", Part.RUNTIME),
        (f"{BUILD}/runtime/engine_tflm.cc.obj", "", ".text.engine_invoke", Part.RUNTIME),
        (f"{BUILD}/runtime/server.c.obj", "", ".text.server_poll", Part.APPLICATION),
        (f"{BUILD}/port/startup.c.obj", "", ".vectors", Part.APPLICATION),
        (TFLM, "conv.o", ".text.f", Part.KERNELS),
        (TFLM, "arm_convolve_s8.o", ".text.f", Part.KERNELS),
        (TFLM, "micro_interpreter.o", ".text.f", Part.RUNTIME),
        (TFLM, "greedy_memory_planner.o", ".text.f", Part.RUNTIME),
        (TFLM, "common.o", ".text.TfLiteTensorFree", Part.RUNTIME),
        (TFLM, "common.o", ".text._ZN6tflite29MultiplyByQuantizedMultiplierEili", Part.KERNELS),
        (TFLM, "tensor_utils.o", ".text._ZN6tflite19ResetVariableTensorEP12TfLiteTensor", Part.RUNTIME),
        (TFLM, "tensor_utils.o", ".text._ZN6tflite12tensor_utils5f", Part.KERNELS),
        (f"{LIBRARIES}/libc_nano.a", "lib_a-memcpy.o", ".text", Part.LIBC),
        (f"{LIBRARIES}/libm.a", "lib_a-s_round.o", ".text", Part.LIBC),
        ("/usr/lib/gcc/arm-none-eabi/12.2.1/thumb/v7e-m+fp/hard/libgcc.a", "_dvmd_tls.o", ".text", Part.LIBC),
        (f"{LIBRARIES}/libstdc++_nano.a", "del_op.o", ".text", Part.LIBC),
        ("/usr/lib/gcc/arm-none-eabi/12.2.1/thumb/v7e-m+fp/hard/crti.o", "", ".init", Part.LIBC),
        ("linker stubs", "", ".text.stub", Part.PADDING),
        ("", "", FILL, Part.PADDING),
        ("/opt/libdsp.a", "fft.o", ".text", Part.OTHER),
        ("/opt/scratch/cc8Q2z.ltrans0.ltrans.o", "", ".text", Part.OTHER),
    ],
)
def test_every_object_has_a_part(path, member, name, part):
    section = entry(path, member, name)
    assert flash_part(section) is part
    assert ram_part(section) is part


@pytest.mark.parametrize("name", [".bss.arena", ".arena", ".bss._ZN12_GLOBAL__N_1L5arenaE"])
def test_the_arena_is_told_by_its_section(name):
    assert ram_part(entry(f"{BUILD}/model/aot_model.c.obj", name=name)) is Part.ARENA
    library = entry(TFLM, "single_arena_buffer_allocator.o", ".bss._ZN6tflite26SingleArenaBufferAllocatorE")
    assert ram_part(library) is Part.RUNTIME


def test_code_data_stack_and_padding_are_counted_once():
    text = OutputSection(
        ".text", 0, 30, (entry(f"{BUILD}/runtime/main.c.obj", size=20), entry("", "", FILL, 20, 4))
    )
    data = OutputSection(".data", 100, 8, (entry(TFLM, "conv.o", ".data.x", 100, 8),))
    stack = OutputSection(".stack", 200, 50, (entry("", "", FILL, 200, 50),))
    bss = OutputSection(
        ".bss", 300, 20, (entry(f"{BUILD}/model/aot_model.c.obj", "", ".bss.arena", 304, 16),)
    )
    allocated = [ElfSection(s.name, s.address, s.bytes, s.name != ".text") for s in (text, data, stack, bss)]
    # Arduino's linker script gives the heap what is left; it is nobody's need.
    allocated.append(ElfSection(".heap", 400, 9999, True))
    # A loaded segment may begin before its first section, and holds .data by the address where it runs.
    parts = divide([range(0, 32), range(100, 108)], allocated, [text, data, stack, bss])
    assert parts.flash == {Part.KERNELS: 8, Part.APPLICATION: 20, Part.PADDING: 12}
    assert parts.ram == {Part.KERNELS: 8, Part.ARENA: 16, Part.STACK: 50, Part.PADDING: 4}


PATHS = st.sampled_from(
    [f"{BUILD}/model/aot_weights.c.obj", f"{BUILD}/runtime/server.c.obj", "/x/unknown.o", "linker stubs", ""]
)


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(1, 99), PATHS), max_size=9), st.integers(0, 20))
def test_the_parts_add_up_to_the_whole(pieces, cut):
    at, inputs = 0, []
    for gap, size, path in pieces:
        inputs.append(entry(path, address=at + gap, size=size))
        at += gap + size
    section = OutputSection(".data", 0, at, tuple(inputs))
    loaded = range(min(cut, at), at)
    parts = divide([loaded], [ElfSection(".data", 0, at, True)], [section])
    assert sum(parts.flash.values()) == len(loaded)
    assert sum(parts.ram.values()) == at


def test_without_a_map_nothing_is_known(tmp_path):
    (tmp_path / "firmware").write_bytes(b"\x7fELF")
    assert find_parts(tmp_path / "firmware") is None


def test_what_is_no_elf_is_an_error(tmp_path):
    (tmp_path / "firmware.elf").write_bytes(b"MZ")
    (tmp_path / "firmware.map").write_text("")
    with pytest.raises(ConfigError, match="not a readable ELF file"):
        find_parts(tmp_path / "firmware.elf")


def test_the_map_of_another_firmware_is_an_error(tmp_path, monkeypatch):
    (tmp_path / "firmware.map").write_text("")
    text = ElfSection(".text", 0, 4, writable=False)
    monkeypatch.setattr("mcu_ser.toolchain.firmware_parts._read_elf", lambda path: ((), (text,)))
    message = r"is not the map of firmware\.elf: section \.text differs; try: mcu-ser build PROJECT"
    with pytest.raises(ConfigError, match=message):
        find_parts(tmp_path / "firmware.elf")
