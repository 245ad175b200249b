# SPDX-License-Identifier: Apache-2.0
"""Renders report.html: one file that works offline, in light and dark, on a phone and with a screen reader.

It has the looks of study.html. Python words every number; the templates only print.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

import mcu_ser.study
from mcu_ser.artifacts import write_text
from mcu_ser.report import sections
from mcu_ser.report.audio import audio_facts, audio_text, front_end_facts, front_end_text, map_rows

if TYPE_CHECKING:
    from jinja2 import Template

PAGE_NAME = "report.html"
TEMPLATE = "report.html.j2"


def write_page(directory: Path, document: dict[str, Any]) -> Path:
    """Write `report.html` of a report's document; returns its path.

    Raises:
        ConfigError: It cannot be written.
    """
    path = directory / PAGE_NAME
    write_text(path, render_page(document))
    return path


def render_page(document: dict[str, Any]) -> str:
    """The page as HTML text.

    Args:
        document: Of `report.json`, as its schema says.
    """
    layers = document["layers"]
    context = {
        "version": document["mcu_ser"],
        "title": f"Verify {document['board']}, engine {document['engine']}",
        "passed": document["verdict"] == "pass",
        "complete": document["identical"] is not None,
        "reason": document["reason"],
        "facts": [*audio_facts(document), *sections.headline_facts(document)],
        "audio": document["audio"],
        "audio_text": audio_text(document),
        "maps": map_rows(document),
        "front_end": front_end_facts(document),
        "front_end_text": front_end_text(document),
        "wrong_layer": None if layers is None else layers["problem"],
        "likely": _likely(layers),
        "labels": sections.class_names(document),
        "matrices": sections.matrices(document),
        "scores": sections.score_columns(document),
        "recalls": sections.recall_rows(document),
        "mismatches": sections.mismatch_rows(document),
        "wrong_samples": _wrong_samples(document),
        "litert": document["litert"],
        "identical": document["identical"],
        "samples": document["samples"],
        "unit": sections.time_unit(document),
        "durations": sections.durations(document),
        "times": sections.time_facts(document),
        "layers": layers,
        "layer_chart": sections.layer_chart(document),
        "layer_rows": sections.layer_rows(document),
        "sparse_rows": sections.sparse_rows(document),
        "memory": sections.memory_chart(document),
        "link": sections.link_facts(document),
        "boards": sections.board_rows(document),
        "command": (document["provenance"] or {}).get("command"),
        "provenance": sections.provenance_facts(document),
    }
    return _template().render(context)


def _wrong_samples(document: dict[str, Any]) -> int | None:
    identical = document["identical"]
    return None if identical is None else document["samples"] - identical


def _likely(layers: dict[str, Any] | None) -> str | None:
    if layers is None or layers["first_wrong"] is None:
        return None
    return str(layers["first_wrong"]["cause_text"])


@functools.cache
def _template() -> Template:
    # The style sheet is that of study.html.
    folders = (Path(__file__).parent, Path(mcu_ser.study.__file__).parent)
    environment = Environment(
        loader=FileSystemLoader(folders),
        undefined=StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template(TEMPLATE)
