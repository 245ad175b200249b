# SPDX-License-Identifier: Apache-2.0
"""Estimates the cycles of a function on a Cortex-M4: the instructions it executes, at their documented cost.

`unicorn` executes the function and tells which blocks of code run in which order; the disassembler tells what
is in them. Costs are those of Arm's Cortex-M4 Technical Reference Manual (DDI 0439), instruction set summary
and load/store timings, without wait states:

- one cycle: data processing, all multiplications and DSP instructions, branches not taken;
- a refill of the pipeline, of 1 to 3 cycles, after whatever changes the program counter;
- single loads 2, or 1 right after another single load whose result is not their address;
- single stores 1, but 2 with a register as offset that do not follow a load;
- loads and stores of N registers 1 + N; divisions 2 to 12;
- one more where an address was computed by the data processing instruction just before;
- at least 5 for a load of the program counter.

What the manual leaves open makes a range: the refill, divisions, IT (0 where it is folded, or 1), and loads
from the code, which may wait for the fetch of instructions. Wait states of flash, and contention of a bus,
come on top.
"""

from __future__ import annotations

import re
import struct
import subprocess
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from elftools.elf.elffile import ELFFile
from unicorn import UC_ARCH_ARM, UC_HOOK_BLOCK, UC_MODE_MCLASS, UC_MODE_THUMB, Uc
from unicorn.arm_const import UC_ARM_REG_LR, UC_ARM_REG_SP, UC_CPU_ARM_CORTEX_M4

_PAGE = 0x1000
_STACK_TOP, _STACK_BYTES = 0x70010000, 0x10000
_RETURN = 0x10000000
_PERIPHERALS, _PERIPHERAL_BYTES = 0x40000000, 0x30000
_CPACR, _FPU_FULL_ACCESS = 0xE000ED88, 0xF << 20

_LINE = re.compile(r"^\s*([0-9a-f]+):\t((?:[0-9a-f]{4} ?)+)\s*\t(\S+)\s*([^@;<]*)")
_LOAD = re.compile(r"ldr(?:s?[bh])?t?$")
_STORE = re.compile(r"str[bh]?t?$")
_CONDITIONS = "eq ne cs cc mi pl vs vc hi ls ge lt gt le hs lo".split()
# Names that end like a condition, and those that say that flags are set.
_UNCONDITIONAL = {"bl", "teq", "mls", "smmls", "vmls", "smlal", "umlal", "umaal", "svc"}
_SETS_FLAGS = re.compile(r"(?:mov|mvn|lsl|lsr|asr|ror|rrx|add|adc|sub|sbc|rsb|mul|and|orr|orn|eor|bic)s$")
_BRANCHES = {"b", "bl", "bx", "blx", "cbz", "cbnz", "tbb", "tbh"}


@dataclass(frozen=True)
class Cycles:
    """Cycles as far as the manual says: the least, the most likely, and the most."""

    least: float = 0.0
    likely: float = 0.0
    most: float = 0.0

    def __add__(self, other: Cycles) -> Cycles:
        return Cycles(self.least + other.least, self.likely + other.likely, self.most + other.most)

    def __mul__(self, times: int) -> Cycles:
        return Cycles(self.least * times, self.likely * times, self.most * times)


def exactly(cycles: float) -> Cycles:
    """A cost that the manual leaves no doubt about."""
    return Cycles(cycles, cycles, cycles)


# By alignment and width of the instruction that is jumped to.
REFILL = Cycles(1, 2, 3)
_DIVISION = Cycles(2, 7, 12)
_IT = Cycles(0, 1, 1)
_CODE_LOAD = Cycles(0, 0, 1)


@dataclass(frozen=True)
class Instruction:
    """One instruction as the disassembler writes it; `name` is without condition, width and flags."""

    address: int
    bytes: int
    name: str
    operands: str

    @property
    def registers(self) -> list[str]:
        return [_ALIASES.get(r, r) for r in re.findall(r"\b(?:r\d+|sl|fp|ip|sp|lr|pc)\b", self.operands)]

    @property
    def is_load(self) -> bool:
        """A load of one register, which others can follow at once."""
        return bool(_LOAD.match(self.name)) and self.registers[:1] != ["pc"]

    @property
    def address_registers(self) -> set[str]:
        """Registers that its address is made of."""
        if self.name in {"push", "pop"}:
            return {"sp"}
        if self.name.startswith(("ldm", "stm", "vldm", "vstm")):
            return set(self.registers[:1])
        inside = re.search(r"\[([^\]]*)\]", self.operands)
        if inside is None:
            return set()
        return {_ALIASES.get(r, r) for r in re.findall(r"\b(?:r\d+|sl|fp|ip|sp|lr)\b", inside[1])}

    @property
    def result(self) -> str | None:
        """Register that a data processing instruction writes."""
        if self.is_memory or self.name in {"cmp", "cmn", "tst", "teq", "it", "nop"} | _BRANCHES:
            return None
        return self.registers[0] if self.registers else None

    @property
    def is_memory(self) -> bool:
        return self.name.startswith(
            ("ldr", "str", "ldm", "stm", "push", "pop", "vldr", "vstr", "vldm", "vstm", "vpush", "vpop")
        )

    @property
    def changes_pc(self) -> bool:
        if self.name in _BRANCHES:
            return True
        if self.name.startswith("ldm") or self.name == "pop":
            return "pc" in self.registers
        return self.registers[:1] == ["pc"] and not self.name.startswith(("str", "cmp"))


_ALIASES = {"sl": "r10", "fp": "r11", "ip": "r12", "r13": "sp", "r14": "lr", "r15": "pc"}


def disassemble(elf: Path) -> dict[int, Instruction]:
    """All instructions of a program, by address."""
    command = ["arm-none-eabi-objdump", "-d", elf]
    text = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout
    found = {}
    for line in text.splitlines():
        match = _LINE.match(line)
        if match:
            address = int(match[1], 16)
            count = len(match[2].replace(" ", "")) // 2
            found[address] = Instruction(address, count, _plain_name(match[3]), match[4].strip())
    return found


def _plain_name(mnemonic: str) -> str:
    name = mnemonic.lower().partition(".")[0]
    if name.startswith("it") and set(name[2:]) <= {"t", "e"}:
        return "it"
    if name in _UNCONDITIONAL:
        return name
    if _SETS_FLAGS.match(name):
        return name[:-1]
    for condition in _CONDITIONS:
        if name.endswith(condition) and len(name) > len(condition):
            return name[: -len(condition)]
    return name


def _transferred(instruction: Instruction) -> int:
    """Registers that a load or store of several moves."""
    listed = re.search(r"\{([^}]*)\}", instruction.operands)
    assert listed is not None, instruction
    count = 0
    for part in listed[1].split(","):
        first, _, last = part.strip().partition("-")
        numbers = [
            int(_ALIASES.get(r, r)[1:]) for r in (first, last) if r and _ALIASES.get(r, r)[1:].isdigit()
        ]
        count += numbers[1] - numbers[0] + 1 if last else 1
    return count


def _memory_cost(instruction: Instruction, before: Instruction | None) -> Cycles:
    name = instruction.name
    if "{" in instruction.operands:
        cost = exactly(1 + _transferred(instruction))
    elif name in {"ldrd", "strd"}:
        cost = exactly(3)
    elif instruction.is_load:
        follows = before is not None and before.is_load
        pipelined = follows and before.registers[0] not in instruction.address_registers
        cost = exactly(1 if pipelined else 2)
        if "[pc" in instruction.operands:
            cost += _CODE_LOAD
    elif _STORE.match(name):
        by_register = len(instruction.address_registers) > 1
        cost = exactly(2 if by_register and not (before and before.is_load) else 1)
    else:
        cost = exactly(2)
    if before is not None and before.result in instruction.address_registers:
        cost += exactly(1)
    return cost


def cost_of(instruction: Instruction, before: Instruction | None) -> Cycles:
    """Cycles of an instruction after another, without a refill of the pipeline."""
    if instruction.is_memory:
        return _memory_cost(instruction, before)
    if instruction.name in {"sdiv", "udiv"}:
        return _DIVISION
    if instruction.name == "it":
        return _IT
    if instruction.name in {"tbb", "tbh"}:
        return exactly(3)
    if instruction.name in {"vdiv", "vsqrt"}:
        return exactly(14)
    return exactly(1)


@dataclass
class Run:
    """What a function executed: edges of the flow of control, and whose they are."""

    edges: Mapping[str, Counter[tuple[int, int, int]]]


@dataclass
class Estimate:
    """Instructions and cycles of a part of a program, and the instructions by name."""

    instructions: int = 0
    cycles: Cycles = field(default_factory=Cycles)
    mix: Counter[str] = field(default_factory=Counter)


def _map(machine: Uc, address: int, size: int, mapped: set[int]) -> None:
    for page in range(address & ~(_PAGE - 1), address + size, _PAGE):
        if page not in mapped:
            machine.mem_map(page, _PAGE)
            mapped.add(page)


def _load(elf: Path) -> tuple[Uc, dict[str, int]]:
    """A machine with the program in its memory, and the program's functions."""
    machine = Uc(UC_ARCH_ARM, UC_MODE_THUMB | UC_MODE_MCLASS)
    machine.ctl_set_cpu_model(UC_CPU_ARM_CORTEX_M4)
    mapped: set[int] = set()
    with elf.open("rb") as stream:
        file = ELFFile(stream)
        for segment in file.iter_segments("PT_LOAD"):
            data = segment.data()
            for address in {segment["p_vaddr"], segment["p_paddr"]}:
                _map(machine, address, max(segment["p_memsz"], 1), mapped)
                machine.mem_write(address, data)
        symbols = list(file.get_section_by_name(".symtab").iter_symbols())
    functions = {s.name: s["st_value"] & ~1 for s in symbols if s["st_info"]["type"] == "STT_FUNC"}
    _map(machine, _STACK_TOP - _STACK_BYTES, _STACK_BYTES, mapped)
    _map(machine, _RETURN, 2, mapped)
    _map(machine, _PERIPHERALS, _PERIPHERAL_BYTES, mapped)
    _map(machine, _CPACR, 4, mapped)
    machine.mem_write(_CPACR, struct.pack("<I", _FPU_FULL_ACCESS))
    return machine, functions


def execute(elf: Path, function: str, part_of: Callable[[str], str | None]) -> Run:
    """Run a function without arguments until it returns.

    Args:
        elf: The program.
        function: Its name.
        part_of: The part of the program that begins where a function of the given name is entered; None for
            functions that belong to the part that calls them.

    Raises:
        KeyError: There is no such function.
    """
    machine, functions = _load(elf)
    parts = {address: part for name, address in functions.items() if (part := part_of(name)) is not None}
    edges: dict[str, Counter[tuple[int, int, int]]] = defaultdict(Counter)
    current, previous = "", (0, 0)

    def block(_machine: Uc, address: int, size: int, _data: object) -> None:
        nonlocal current, previous
        if previous[1]:
            edges[current][(*previous, address)] += 1
        current, previous = parts.get(address, current), (address, size)

    machine.hook_add(UC_HOOK_BLOCK, block)
    machine.reg_write(UC_ARM_REG_SP, _STACK_TOP)
    machine.reg_write(UC_ARM_REG_LR, _RETURN | 1)
    machine.emu_start(functions[function] | 1, _RETURN)
    if previous[1]:
        edges[current][(*previous, _RETURN)] += 1
    return Run(dict(edges))


def estimate(run: Run, program: Mapping[int, Instruction]) -> dict[str, Estimate]:
    """Cycles of each part of a run."""
    results = {}
    for part, edges in run.edges.items():
        total = Estimate()
        for (address, size, target), times in edges.items():
            before: Instruction | None = None
            at = address
            while at < address + size:
                instruction = program[at]
                total.cycles += cost_of(instruction, before) * times
                total.mix[instruction.name] += times
                total.instructions += times
                before, at = instruction, at + instruction.bytes
            if target != at and before is not None:
                loads = before.name.startswith("ldr")
                total.cycles += (exactly(3) if loads else REFILL) * times
        results[part] = total
    return results
