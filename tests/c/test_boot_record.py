# SPDX-License-Identifier: Apache-2.0
"""The record that survives a reset: believed only when it is whole, and only once."""

import ctypes
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcu_ser.resources import firmware_templates_dir

TEMPLATES = firmware_templates_dir()
RECORD_BYTES = 24


class Fault(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint32) for name in ("pc", "lr", "cfsr", "hfsr")]


class Ram:
    """boot_record.c on the host, with access to the RAM that keeps its content."""

    def __init__(self, directory: Path) -> None:
        gcc = shutil.which("gcc")
        if gcc is None:
            pytest.skip("gcc is not installed")
        source = directory / "exposed.c"
        source.write_text(
            '#include "boot_record.c"\n'
            "volatile void *record(void) { return &next_run; }\n"
            "unsigned record_bytes(void) { return sizeof next_run; }\n"
        )
        library = directory / "boot_record.so"
        includes = [f"-I{TEMPLATES / 'cortex_m'}", f"-I{TEMPLATES / 'runtime'}"]
        subprocess.run(
            [
                gcc,
                "-shared",
                "-fPIC",
                "-std=c99",
                "-Wall",
                "-Wextra",
                "-Werror",
                *includes,
                source,
                "-o",
                library,
            ],
            check=True,
            timeout=60,
        )
        self.c = ctypes.CDLL(str(library))
        self.c.record.restype = ctypes.c_void_p
        assert self.c.record_bytes() == RECORD_BYTES

    @property
    def content(self) -> bytes:
        return ctypes.string_at(self.c.record(), RECORD_BYTES)

    @content.setter
    def content(self, data: bytes) -> None:
        assert len(data) == RECORD_BYTES
        ctypes.memmove(self.c.record(), data, RECORD_BYTES)

    def boot(self) -> tuple[bool, tuple[int, ...] | None]:
        """What the next run finds: a record at all, and its fault."""
        self.c.boot_record_take()
        fault = Fault()
        faulted = self.c.boot_record_fault(ctypes.byref(fault))
        return bool(self.c.boot_record_found()), (
            fault.pc,
            fault.lr,
            fault.cfsr,
            fault.hfsr,
        ) if faulted else None


@pytest.fixture(scope="module")
def ram(tmp_path_factory: pytest.TempPathFactory) -> Ram:
    return Ram(tmp_path_factory.mktemp("boot_record"))


words = st.integers(0, 2**32 - 1)


@given(pc=words, lr=words, cfsr=words, hfsr=words)
def test_fault_is_found_once(ram: Ram, pc: int, lr: int, cfsr: int, hfsr: int) -> None:
    ram.c.boot_record_leave(ctypes.byref(Fault(pc, lr, cfsr, hfsr)))
    assert ram.boot() == (True, (pc, lr, cfsr, hfsr))
    assert ram.boot() == (False, None)


def test_wanted_reset_is_found_without_a_fault(ram: Ram) -> None:
    ram.c.boot_record_leave(None)
    assert ram.boot() == (True, None)
    assert ram.boot() == (False, None)


@given(noise=st.binary(min_size=RECORD_BYTES, max_size=RECORD_BYTES))
def test_what_power_on_leaves_in_ram_is_no_record(ram: Ram, noise: bytes) -> None:
    ram.content = noise
    assert ram.boot() == (False, None)


@given(bit=st.integers(0, 8 * RECORD_BYTES - 1))
def test_one_flipped_bit_spoils_a_record(ram: Ram, bit: int) -> None:
    ram.c.boot_record_leave(ctypes.byref(Fault(0x08001234, 0x08000101, 0x8200, 0x40000000)))
    damaged = bytearray(ram.content)
    damaged[bit // 8] ^= 1 << bit % 8
    ram.content = bytes(damaged)
    assert ram.boot() == (False, None)
