# SPDX-License-Identifier: Apache-2.0
"""Words every figure of a report: what the sections of the page print."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mcu_ser.report.charts import Bar, bar_chart, histogram_chart
from mcu_ser.wording import counted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mcu_ser.report.charts import BarChart, Histogram

NONE = "–"
UNKNOWN = "not measured"
# A page with larger matrices could be neither read nor sent.
MOST_CLASSES = 24
# Of lists and texts that others decide the length of; report.json has the whole.
MOST_NAMED = 40
MOST_CHARACTERS = 160

Document = dict[str, Any]


def class_names(document: Document) -> list[str]:
    """A name per class, given or made of its number."""
    matrix = document["host"]["confusion"]
    if matrix is None:
        return []
    return document["labels"] or [f"class {index}" for index in range(len(matrix))]


def headline_facts(document: Document) -> list[tuple[str, str]]:
    """What is asked first, beside the verdict."""
    identical = document["identical"]
    facts = [
        (
            "equal to the oracle",
            f"{NONE if identical is None else identical} of {counted(document['samples'], 'sample')}",
        ),
        *(
            [("UAR on the device", uar_with_interval(document["device"]))]
            if document["device"]["confusion"]
            else []
        ),
        (f"{time_unit(document)} per inference", _count(_spread(document)["median"], UNKNOWN)),
        ("flash", used_of(document["flash_bytes"], document["flash_limit_bytes"])),
        ("RAM", used_of(document["ram_bytes"], document["ram_limit_bytes"])),
    ]
    return [*facts, *((f"limit: {limit['name']}", limit_text(limit)) for limit in document["limits"])]


def limit_text(limit: Mapping[str, Any]) -> str:
    """A limit that the user gave, and what became of it."""
    state = "held" if limit["held"] else "passed over" if limit["value"] is not None else "not measured"
    return f"{_count(limit['value'], UNKNOWN)} of {limit['limit']:,}: {state}"


def uar_with_interval(scores: Mapping[str, Any]) -> str:
    """UAR and its interval."""
    return f"{scores['uar']:.3f} ({interval(scores['uar_interval'])})"


def interval(ends: Sequence[float] | None) -> str:
    """Both ends of an interval."""
    return NONE if ends is None else f"{ends[0]:.3f} to {ends[1]:.3f}"


def matrices(document: Document) -> list[dict[str, Any]]:
    """Confusion of host and device, side by side; none without true classes or with very many."""
    names = class_names(document)
    if not 0 < len(names) <= MOST_CLASSES:
        return []
    return [
        {
            "caption": caption,
            "rows": [
                _matrix_row(label, index, row)
                for index, (label, row) in enumerate(zip(names, matrix, strict=True))
            ],
        }
        for caption, matrix in (
            ("host (oracle)", document["host"]["confusion"]),
            ("device", document["device"]["confusion"]),
        )
    ]


def score_columns(document: Document) -> list[dict[str, Any]]:
    """UAR, accuracy and recalls of everybody who answered: host, device, LiteRT."""
    who = [
        ("host (oracle)", document["host"]),
        ("device", document["device"]),
        ("LiteRT", document["litert"]),
    ]
    return [
        {"name": name, "uar": f"{scores['uar']:.3f}", "interval": interval(scores["uar_interval"]),
         "accuracy": f"{scores['accuracy']:.3f}"}
        for name, scores in who
        if scores is not None and scores["uar"] is not None
    ]  # fmt: skip


def recall_rows(document: Document) -> list[dict[str, Any]]:
    """Recall per class of host, device and LiteRT, each with its interval."""
    answered = [
        scores for scores in (document["host"], document["device"], document["litert"]) if scores is not None
    ]
    return [
        {
            "label": label,
            "support": str(sum(document["host"]["confusion"][index])),
            "recalls": [
                {
                    "recall": NONE if scores["recalls"][index] is None else f"{scores['recalls'][index]:.3f}",
                    "interval": interval(scores["recall_intervals"][index]),
                }
                for scores in answered
            ],
        }
        for index, label in enumerate(class_names(document)[:MOST_NAMED])
    ]


def mismatch_rows(document: Document) -> list[dict[str, str]]:
    """The samples that are named."""
    return [
        {
            "sample": str(mismatch["sample"]),
            "id": cut(mismatch["id"]),
            "bytes": str(mismatch["differing_bytes"]),
            "largest": str(mismatch["largest_difference"]),
            "expected": cut(mismatch["expected_hex"]),
            "device": cut(mismatch["device_hex"]),
        }
        for mismatch in document["mismatches"]
    ]


def time_unit(document: Document) -> str:
    """What the board counted."""
    if document["instructions"]["median"] is not None:
        return "instructions"
    source = document["ticks"]["source"]
    return "ticks" if source is None else f"{source} ticks"


def time_facts(document: Document) -> list[tuple[str, str]]:
    """Least, median and most of an inference, and the frequency of the counter."""
    spread, hz = _spread(document), document["ticks"]["hz"]
    facts = [(name, _count(spread[name], UNKNOWN)) for name in ("min", "median", "max")]
    if hz and spread["median"] is not None:
        facts.append(("median in milliseconds", f"{1000 * spread['median'] / hz:.3f}"))
    return facts


def durations(document: Document) -> Histogram | None:
    """How often an inference took how long."""
    bins = document["ticks"]["histogram"]
    if bins is None:
        return None
    unit = time_unit(document)
    return histogram_chart(f"Inferences by {unit}", unit, bins["first"], bins["width"], bins["counts"])


def memory_chart(document: Document) -> BarChart:
    """Flash and RAM by region, arena and stack, each against what there is."""
    regions = [(_region_name(each), each["bytes"], each["limit_bytes"]) for each in document["memory"]]
    totals = [
        (name, document[f"{name.lower()}_bytes"], document[f"{name.lower()}_limit_bytes"])
        for name in ("flash", "RAM")
    ]
    arena, stack = document["arena"], document["stack_high_water_bytes"]
    parts = [] if arena is None else [(f"arena ({arena['basis']})", arena["bytes"], arena["budget_bytes"])]
    if stack:
        parts.append(("stack at its highest", stack, document["stack_budget_bytes"]))
    rows = [*(regions or totals), *parts]
    return bar_chart("memory", "Memory against what the board has", [_memory_bar(*row) for row in rows])


def layer_chart(document: Document) -> BarChart | None:
    """Share of each layer in the time of an inference; in the multiplications, if time was not asked for."""
    section = document["layers"]
    if section is None or not section["layers"]:
        return None
    timed = section["ticks"] is not None and section["ticks"]["total"]
    key, what = ("ticks", "Time") if timed else ("macs", "Multiplications")
    total = sum(layer[key] or 0 for layer in section["layers"]) or 1
    most = max(layer[key] or 0 for layer in section["layers"]) or 1
    bars = [
        Bar(
            f"{layer['index']} {layer['operator']}" + ("" if layer["identical"] else ": differs"),
            f"{layer[key] or 0:,} ({100 * (layer[key] or 0) / total:.1f} %)",
            (layer[key] or 0) / most,
            marked=not layer["identical"],
        )
        for layer in section["layers"]
    ]
    return bar_chart("layers", f"{what} per layer", bars)


def layer_rows(document: Document) -> list[dict[str, str]]:
    """Every layer with its figures."""
    section = document["layers"]
    return [] if section is None else [_layer_row(layer) for layer in section["layers"]]


def sparse_rows(document: Document) -> list[dict[str, str]]:
    """Every layer that may leave out zeros, without and with."""
    return [
        {
            "layer": f"{layer['index']} {layer['operator']}",
            "weights": f"{layer['weights']:,}",
            "zeros": f"{100 * layer['zeros'] / layer['weights']:.1f} %" if layer["weights"] else NONE,
            "chosen": layer["chosen"],
            "name": cut(layer["name"]),
            **{
                f"{form}_{key}": _count(layer[form][value], NONE)
                for form in ("dense", "sparse")
                for key, value in (("bytes", "bytes"), ("instructions", "predicted_instructions"))
            },
        }
        for layer in document["sparse_layers"]
    ]


_LINK_WORDS = {
    "payload_bytes": "bytes of inputs and outputs",
    "payload_bytes_per_s": "of them per second",
    "sent_bytes": "bytes to the board",
    "bytes": "bytes both ways",
    "bytes_per_s": "both ways per second",
    "capacity_bytes_per_s": "bytes per second that the line carries each way",
    "busy_fraction": "share of the time in which the line to the board was in use",
    "seconds": "seconds",
    "computing_s": "of them the model ran",
    "frames": "frames sent",
    "retries": "of them again",
    "answers": "answers",
    "bad_frames": "damaged frames",
}


def link_facts(document: Document) -> list[tuple[str, str]]:
    """Counters of the link; those without words of their own come last, by their names."""
    link = document["link"]
    names = [*(name for name in _LINK_WORDS if name in link), *sorted(link.keys() - _LINK_WORDS.keys())]
    facts = [(_LINK_WORDS.get(name, name.replace("_", " ")), _number(link[name])) for name in names]
    repeats = document["repeats"]
    if repeats is not None:
        facts.append(
            (
                "run twice, with equal bytes",
                f"{counted(repeats['samples'], 'sample')}, {repeats['across_boards']} of them on two boards",
            )
        )
    return facts


def board_rows(document: Document) -> list[dict[str, str]]:
    """Who computed what."""
    return [
        {
            "port": cut(board["port"] or "started for this run"),
            "samples": str(board["samples"]),
            "repeats": str(board["repeats"]),
            "ranges": cut(board["ranges"] or NONE),
            "lost": cut(board["lost"] or "no"),
        }
        for board in document["boards"]
    ]


def provenance_facts(document: Document) -> list[tuple[str, str]]:
    """Everything that decides the figures."""
    origin = document["provenance"]
    known = [] if origin is None else [
        ("board", f"{origin['board_name']} ({document['board']}), {origin['mcu']}"),
        ("ran on", _ran_on(document)),
        ("compiler", origin["compiler"] or "unknown"),
        ("multiplications per inference", f"{origin['macs']:,}"),
        ("bytes of weights", f"{origin['weight_bytes']:,}"),
        ("built for", origin.get("optimization", "speed")),
        *sorted(origin["versions"].items()),
    ]  # fmt: skip
    hashes = (
        []
        if origin is None
        else [(f"SHA-256 of {name}", digest) for name, digest in sorted(origin["hashes"].items())]
    )
    return [
        *known,
        ("mcu-ser", document["mcu_ser"]),
        ("oracle", document["oracle"]),
        ("samples", document["samples_origin"]),
        ("build id", document["build_id"]),
        ("SHA-256 of the model", document["model_sha256"]),
        ("SHA-256 of the samples", document["samples_sha256"]),
        *hashes,
        ("changed since it was generated", cut(", ".join(document["changed_files"])) or "nothing"),
    ]


def used_of(used: int, limit: int | None) -> str:
    """Bytes, and their share of a limit."""
    return f"{used:,} B" if not limit else f"{used:,} of {limit:,} B ({100 * used / limit:.1f} %)"


def cut(text: str) -> str:
    """Text of a length that others decide."""
    return text if len(text) <= MOST_CHARACTERS else text[: MOST_CHARACTERS - 1] + "…"


def _ran_on(document: Document) -> str:
    """The boards behind the ports, else what was started for the run."""
    ports = [board["port"] for board in document["boards"] if board["port"] is not None]
    started = document["provenance"]["emulator"] or (
        "this computer, as a native program" if document["board"] == "host" else "the board"
    )
    return cut(", ".join(ports)) or str(started)


def _spread(document: Document) -> Mapping[str, int | None]:
    counted = document["instructions"]["median"] is not None
    spread: Mapping[str, int | None] = document["instructions" if counted else "ticks"]
    return spread


def _matrix_row(label: str, index: int, row: Sequence[int]) -> dict[str, Any]:
    total = sum(row)
    return {
        "label": label,
        "cells": [
            {
                "share": f"{count / total if total else 0:.2f}",
                "percent": f"{100 * count / total:.0f}" if total else NONE,
                "count": str(count),
                "right": column == index,
            }
            for column, count in enumerate(row)
        ],
    }


def _region_name(region: Mapping[str, Any]) -> str:
    kind = {"flash": "flash", "ram": "RAM"}[region["kind"]]
    return kind if region["name"].lower() == region["kind"] else f"{kind}: {region['name']}"


def _memory_bar(label: str, used: int, limit: int | None) -> Bar:
    over = limit is not None and used > limit
    share = used / limit if limit else 0.0
    figure = used_of(used, limit) + (", over the budget" if over else "")
    return Bar(label, figure, share, marked=over, limited=limit is not None)


def _of_all(layer: Mapping[str, Any]) -> str:
    """How many channels the file has, where the board does not compute all of them."""
    left_out = layer.get("left_out", 0)
    return f" of {layer['shape'][-1] + left_out}" if left_out else ""


def _layer_row(layer: Mapping[str, Any]) -> dict[str, str]:
    ticks, per_mac, share = layer.get("ticks"), layer.get("ticks_per_mac"), layer.get("share")
    return {
        "layer": f"{layer['index']} {layer['operator']}",
        "name": cut(layer["name"]),
        "shape": " × ".join(map(str, layer["shape"])) + _of_all(layer),
        "macs": f"{layer['macs']:,}",
        "ticks": _count(ticks, NONE),
        "predicted": _count(layer.get("predicted_ticks"), NONE),
        "share": NONE if share is None else f"{100 * share:.1f} %",
        "per_mac": NONE if per_mac is None else f"{per_mac:.2f}",
        "equal": "yes" if layer["identical"] else "no",
    }


def _count(value: int | None, absent: str) -> str:
    return absent if value is None else f"{value:,}"


def _number(value: float | None) -> str:
    if value is None:
        return UNKNOWN
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:,.1f}" if value >= 1 else f"{value:.3f}"
