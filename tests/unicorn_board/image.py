# SPDX-License-Identifier: Apache-2.0
"""A firmware's ELF: what goes into flash, and which function an address lies in."""

from __future__ import annotations

import bisect
from pathlib import Path

from elftools.elf.elffile import ELFFile


class Image:
    """The loaded parts of an ELF, as (address in flash, bytes), and its functions."""

    def __init__(self, elf: Path) -> None:
        with elf.open("rb") as stream:
            file = ELFFile(stream)
            segments = ((s["p_paddr"], s.data()) for s in file.iter_segments("PT_LOAD"))
            self.parts = [(address, data) for address, data in segments if data]
            symbols = file.get_section_by_name(".symtab").iter_symbols()
            functions = [s for s in symbols if s["st_info"]["type"] == "STT_FUNC"]
            self._functions = sorted((s["st_value"] & ~1, s.name) for s in functions)

    def function_at(self, address: int) -> str:
        """The function that `address` lies in."""
        index = bisect.bisect_right(self._functions, (address, "\xff")) - 1
        return self._functions[index][1] if index >= 0 else f"{address:#010x}"
