# SPDX-License-Identifier: Apache-2.0
import itertools

from hypothesis import given
from hypothesis import strategies as st

from mcu_ser.toolchain.link_map import FILL, InputSection, OutputSection, parse_link_map

# What ld of binutils 2.40 prints, shortened: long names, padding, archives, merged strings, COMMON, symbols.
FRAGMENT = """\
Archive member included to satisfy reference by file (symbol)

/opt/lib/libc_nano.a(lib_a-memcpy.o)
                              src/port/startup.c.obj (memcpy)

Discarded input sections

 .text.unused   0x00000000       0x44 src/runtime/server.c.obj

Memory Configuration

Name             Origin             Length             Attributes
FLASH            0x08000000         0x00100000         xr
*default*        0x00000000         0xffffffff

Linker script and memory map

LOAD src/runtime/server.c.obj
START GROUP
LOAD /opt/lib/libc_nano.a
END GROUP

.text           0x08000000       0x50
 *(.vectors)
 .vectors       0x08000000        0x8 src/port/startup.c.obj
                0x08000000                vectors
 *(.text .text.*)
 .text.a        0x08000008        0x6 src/a b.c.obj
                0x08000008                a
 *fill*         0x0800000e        0x2 00
 .text.handle_in_session
                0x08000010       0x20 src/runtime/server.c.obj
                0x08000010                handle_in_session
 .text          0x08000030       0x20 /opt/lib/libc_nano.a(lib_a-memcpy.o)
                0x08000030                memcpy
 .text.zero     0x08000050        0x0 src/a b.c.obj

.glue_7         0x08000050        0x0
 .glue_7        0x08000050        0x0 linker stubs

.rodata.and.a.long.name
                0x08000050       0x14
 .rodata.str1.4
                0x08000050        0x9 src/runtime/server.c.obj
                                  0xd (size before relaxing)
 .rodata.str1.4
                0x08000059        0xd src/port/startup.c.obj
 *fill*         0x08000059        0x3
 .rodata.table  0x0800005c        0x8 src/port/startup.c.obj
                0x0800005c                table
                0x08000064                        . = ALIGN (0x4)

.data           0x20000000        0x4 load address 0x08000064
                0x20000000                ld_data_start = .
 .data.x        0x20000000        0x4 src/port/startup.c.obj

.stack          0x20000008      0x400
                0x20000008                ld_stack_bottom = .
                0x20000408                . = (. + 0x400)
 *fill*         0x20000008      0x400
 *(.never)
                0x20000408        0x0 LONG 0x1

.bss            0x20000408        0x8
 COMMON         0x20000408        0x8 src/runtime/server.c.obj

/DISCARD/
 *(.init .fini)
OUTPUT(firmware.elf elf32-littlearm)
LOAD linker stubs

.debug_str      0x00000000        0x9
 .debug_str     0x00000000        0x9 src/runtime/server.c.obj
                                 0x10 (size before relaxing)
 .debug_str     0x00000009        0x9 src/port/startup.c.obj

Cross Reference Table

 .text.later    0x08000000        0x4 nowhere.o
"""


def test_a_map_as_ld_prints_it():
    server, startup = "src/runtime/server.c.obj", "src/port/startup.c.obj"
    assert parse_link_map(FRAGMENT) == (
        OutputSection(
            ".text",
            0x08000000,
            0x50,
            (
                InputSection(".vectors", 0x08000000, 8, startup),
                InputSection(".text.a", 0x08000008, 6, "src/a b.c.obj"),
                InputSection(FILL, 0x0800000E, 2, ""),
                InputSection(".text.handle_in_session", 0x08000010, 0x20, server),
                InputSection(".text", 0x08000030, 0x20, "/opt/lib/libc_nano.a", "lib_a-memcpy.o"),
            ),
        ),
        OutputSection(".glue_7", 0x08000050, 0, ()),
        OutputSection(
            ".rodata.and.a.long.name",
            0x08000050,
            0x14,
            (
                InputSection(".rodata.str1.4", 0x08000050, 9, server),
                InputSection(FILL, 0x08000059, 3, ""),
                InputSection(".rodata.table", 0x0800005C, 8, startup),
            ),
        ),
        OutputSection(".data", 0x20000000, 4, (InputSection(".data.x", 0x20000000, 4, startup),)),
        OutputSection(".stack", 0x20000008, 0x400, (InputSection(FILL, 0x20000008, 0x400, ""),)),
        OutputSection(".bss", 0x20000408, 8, (InputSection("COMMON", 0x20000408, 8, server),)),
        OutputSection(".debug_str", 0, 9, (InputSection(".debug_str", 0, 9, server),)),
    )


def test_what_is_no_map_has_no_sections():
    assert parse_link_map("") == ()
    assert parse_link_map(".text 0x0 0x10\n .text 0x0 0x10 a.o\n") == ()


MAX_PADDING = 3
NAMES = st.from_regex(r"\.[a-z_]{1,30}(\.[a-zA-Z0-9_]{1,20})?", fullmatch=True)
OBJECTS = st.one_of(
    st.tuples(st.from_regex(r"[a-z/]{1,9}( [a-z]{1,4})?\.c\.obj", fullmatch=True), st.just("")),
    st.tuples(st.just("/opt/lib/libm_nano.a"), st.from_regex(r"lib_a-[a-z_]{1,8}\.o", fullmatch=True)),
)


@st.composite
def layouts(draw):
    """Output sections as they are, and the text that ld prints for them."""
    at = draw(st.integers(0, 1 << 28))
    truth, lines = [], ["Linker script and memory map", ""]
    for name in draw(st.lists(NAMES, min_size=1, max_size=4)):
        start, inputs, body = at, [], []
        for _ in range(draw(st.integers(0, 6))):
            padding = draw(st.integers(0, MAX_PADDING))
            if padding:
                if draw(st.booleans()):
                    inputs.append(InputSection(FILL, at, padding, ""))
                    body.append(f" *fill*         0x{at:08x} {padding:#10x} 00")
                at += padding
            section, (path, member) = draw(NAMES), draw(OBJECTS)
            size = draw(st.integers(0, 2000))
            shown = f"{path}({member})" if member else path
            body += _placed(f" {section}", at, f"{size:#10x} {shown}")
            if size:
                inputs.append(InputSection(section, at, size, path, member))
            at += size
            if draw(st.booleans()):
                body.append(f"{'':16}0x{at:08x}{'':16}symbol")
            if draw(st.booleans()):  # strings that were merged into earlier ones take nothing
                body += _placed(f" {section}", at, f"{draw(st.integers(1, 99)):#10x} ghost.c.obj")
        truth.append(OutputSection(name, start, at - start, tuple(inputs)))
        lines += [*_placed(name, start, f"{at - start:#10x}"), *body, ""]
        at += draw(st.integers(0, 64))
    return tuple(truth), "\n".join(lines)


def _placed(name, address, rest):
    if len(name) > 15:
        return [name, f"{'':16}0x{address:08x} {rest}"]
    return [f"{name:16}0x{address:08x} {rest}"]


@given(layouts())
def test_what_is_printed_is_read(layout):
    truth, text = layout
    found = parse_link_map(text)
    # A gap without *fill* line after merged strings is counted to them: only then may an entry be a ghost's.
    ghosts = [entry for section in found for entry in section.inputs if entry.object == "ghost.c.obj"]
    real = tuple(
        OutputSection(s.name, s.address, s.bytes, tuple(e for e in s.inputs if e not in ghosts))
        for s in found
    )
    assert real == truth
    assert all(ghost.bytes <= MAX_PADDING for ghost in ghosts)


LINES = st.sampled_from(FRAGMENT.splitlines())


@given(st.lists(st.one_of(LINES, st.text(max_size=30)), max_size=60))
def test_sections_are_inside_and_apart_whatever_is_read(lines):
    for section in parse_link_map("\n".join(["Linker script and memory map", *lines])):
        for entry in section.inputs:
            assert entry.bytes > 0
            assert section.address <= entry.address < entry.end <= section.end
        for lower, upper in itertools.pairwise(section.inputs):
            assert lower.end <= upper.address
