# SPDX-License-Identifier: Apache-2.0
"""Turns what the device answered into a verdict.

`report.json` is for programs, `junit.xml` for CI systems, `report.html` for people.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import numpy.typing as npt

from mcu_ser import __version__
from mcu_ser.artifacts import canonical_json, write_bytes, write_text
from mcu_ser.errors import ConfigError
from mcu_ser.intervals import uar_interval, wilson_interval
from mcu_ser.metrics import Scores, score
from mcu_ser.report.page import PAGE_NAME, write_page
from mcu_ser.toolchain.footprint import Footprint
from mcu_ser.verify.audio_report import audio_section, differing_features, features_problem
from mcu_ser.verify.heard import Heard
from mcu_ser.verify.limits import Limits, limit_problem
from mcu_ser.verify.report_schema import REPORT_NAME, SCHEMA
from mcu_ser.verify.report_sections import (
    Background,
    answers,
    decisions,
    histogram,
    memory,
    samples_digest,
)
from mcu_ser.verify.samples import Samples

# The report names this many differing samples; the counts are always whole.
NAMED_MISMATCHES = 20

Outputs = npt.NDArray[Any]

# Keys that are always there, so that a program that reads a report needs no special case.
NO_SCORES: dict[str, Any] = dict.fromkeys(
    ("uar", "uar_interval", "accuracy", "recalls", "recall_intervals", "confusion")
)
NO_SPREAD: dict[str, int | None] = dict.fromkeys(("min", "median", "max"))
JUNIT_NAME = "junit.xml"


@dataclass(frozen=True)
class Facts:
    """What is known before the first sample is sent.

    Attributes:
        board: Board id.
        engine: `aot` or `tflm`.
        model_sha256: Hash of the .tflite, hex.
        build_id: Build id of the firmware, hex.
        oracle: Name and version of the reference interpreter.
        changed_files: Files of the project that are no longer what was generated.
        footprint: Flash and RAM of the firmware.
        background: What else is known of it; None where nobody asks.
    """

    board: str
    engine: str
    model_sha256: str
    build_id: str
    oracle: str
    changed_files: tuple[str, ...]
    footprint: Footprint
    background: Background | None = None


@dataclass(frozen=True)
class Measurement:
    """What the device answered.

    Attributes:
        outputs: Raw outputs, int8 or int16 (n, output elements).
        ticks: Counter ticks of the inferences that nothing disturbed, uint64 of shape (at most n,).
        tick_source: Name of the counter.
        tick_hz: Its frequency in Hz; 0 if unknown.
        ticks_are_instructions: True under instruction-counting emulation.
        link: Link counters: frames, retries, bytes_per_s and more.
        stack_high_water_bytes: Most stack ever used, 0 if unknown.
        repeats: Samples that were run twice, with the same bytes both times (`shards.Repeats`).
        boards: Who has computed what (`shards.Share`).
        heard: What boards with a front end said of their features, by sample.
    """

    outputs: Outputs
    ticks: npt.NDArray[np.uint64]
    tick_source: str
    tick_hz: int
    ticks_are_instructions: bool
    link: dict[str, int | float | None]
    stack_high_water_bytes: int
    repeats: dict[str, int] | None = None
    boards: Sequence[dict[str, Any]] = ()
    heard: Mapping[int, Heard] = field(default_factory=dict)


@dataclass(frozen=True)
class Report:
    """The document of `report.json`, and what `junit.xml` needs beside it."""

    document: dict[str, Any]
    sample_ids: tuple[str, ...]
    differing_bytes: tuple[int, ...]
    differing_features: tuple[int, ...] = ()

    @property
    def passed(self) -> bool:
        return bool(self.document["verdict"] == "pass")

    def write(self, directory: Path) -> tuple[Path, Path, Path]:
        """Write `report.json`, `junit.xml` and `report.html`; returns their paths.

        Raises:
            ConfigError: They cannot be written.
        """
        report, junit = directory / REPORT_NAME, directory / JUNIT_NAME
        write_bytes(junit, _junit(self))
        page = write_page(directory, self.document)
        write_text(report, canonical_json(self.document))
        return report, junit, page


def discard_report(directory: Path) -> None:
    """Remove an older run's report, so that it is not taken for that of a run which does not get that far.

    Raises:
        ConfigError: It cannot be removed.
    """
    for name in (REPORT_NAME, JUNIT_NAME, PAGE_NAME):
        try:
            (directory / name).unlink(missing_ok=True)
        except OSError as error:
            problem = f"cannot take a report ({error.strerror})"
            raise ConfigError(directory, problem, hint="another --out") from error


def build_report(
    *,
    facts: Facts,
    samples: Samples,
    expected: Outputs,
    measurement: Measurement,
    litert: Outputs | None,
) -> Report:
    """Compare every output byte with the oracle's; the verdict is "pass" when all are equal.

    Args:
        facts: What is known before.
        samples: The samples that were sent, n of them.
        expected: The oracle's outputs, int8 or int16 (n, output elements).
        measurement: The device's answers, one per sample.
        litert: LiteRT's outputs for information, if TensorFlow is installed.

    Raises:
        ValueError: The numbers of samples and answers differ; the harness guarantees that they do not.
    """
    actual = measurement.outputs
    if not expected.shape == actual.shape == (len(samples.x), expected.shape[1]):
        raise ValueError(f"{len(samples.x)} samples, expected {expected.shape}, device {actual.shape}")
    differing = np.count_nonzero(_bytes(expected) != _bytes(actual), axis=1)
    identical = int(np.count_nonzero(differing == 0))
    total = len(samples.x)
    needs = None if facts.background is None else facts.background.front_end
    audio = audio_section(samples, measurement.heard, needs)
    problem = features_problem(audio) or _outputs_problem(samples, differing)
    equal = "outputs equal" if audio is None else "feature maps and outputs equal the host's and"
    document = _head(facts, samples) | {
        "identical": identical,
        "audio": audio,
        "mismatches": _mismatches(samples, expected, actual, differing),
        "answers": answers(samples, expected, actual),
        "host": _scores(samples, expected),
        "device": _scores(samples, actual),
        "litert": None if litert is None else _litert(samples, expected, litert),
        "layers": None,
        "verdict": "pass" if problem is None else "fail",
        "reason": problem or f"all {total} {equal} the oracle's byte for byte",
    }
    document |= _figures(measurement)
    counts = tuple(int(count) for count in differing)
    return Report(document, samples.ids, counts, differing_features(samples, measurement.heard))


def _outputs_problem(samples: Samples, differing: npt.NDArray[Any]) -> str | None:
    wrong = np.flatnonzero(differing)
    if not len(wrong):
        return None
    first = samples.ids[int(wrong[0])]
    return f"{len(wrong)} of {len(samples.x)} outputs differ from the oracle's; first: {first}"


def with_layers(report: Report, layers: dict[str, Any], problem: str | None) -> Report:
    """The report with its key `layers`. A layer that is wrong fails the check, though all outputs be right.

    Args:
        report: Of a run that came to its end.
        layers: What a trace of one sample found (`layer_section`).
        problem: The first wrong layer in words; None if none is.
    """
    document = report.document | {"layers": layers | {"problem": problem}}
    if problem is not None and report.passed:
        document |= {"verdict": "fail", "reason": f"all outputs are right, but {problem}"}
    return replace(report, document=document)


def with_limits(report: Report, limits: Limits) -> Report:
    """The report with its key `limits`. One that is passed fails the check, though all outputs be right."""
    judged = limits.judge(report.document)
    document = report.document | {"limits": judged}
    problems = [problem for limit in judged if (problem := limit_problem(limit)) is not None]
    if problems and report.passed:
        document |= {
            "verdict": "fail",
            "reason": f"all outputs are right, but over a limit: {'; '.join(problems)}",
        }
    return replace(report, document=document)


def build_failure(facts: Facts, samples: Samples, reason: str) -> Report:
    """The report of a run that did not come to an end: verdict "fail", no figures, the reason."""
    document = _head(facts, samples) | {
        "identical": None,
        "mismatches": [],
        "answers": None,
        "host": NO_SCORES,
        "device": NO_SCORES,
        "litert": None,
        "layers": None,
        "audio": None,
        "instructions": NO_SPREAD,
        "ticks": NO_SPREAD | {"source": None, "hz": None, "histogram": None},
        "stack_high_water_bytes": None,
        "link": {"frames": None, "retries": None, "bytes_per_s": None},
        "repeats": None,
        "boards": [],
        "verdict": "fail",
        "reason": reason,
    }
    return Report(document, (), ())


def _head(facts: Facts, samples: Samples) -> dict[str, Any]:
    background = facts.background
    return {
        "board": facts.board,
        "engine": facts.engine,
        "model_sha256": facts.model_sha256,
        "build_id": facts.build_id,
        "oracle": facts.oracle,
        "changed_files": list(facts.changed_files),
        "flash_bytes": facts.footprint.flash_bytes,
        "ram_bytes": facts.footprint.ram_bytes,
        "flash_limit_bytes": facts.footprint.flash_limit_bytes,
        "ram_limit_bytes": facts.footprint.ram_limit_bytes,
        "memory": memory(facts.footprint),
        "arena": None if background is None else background.arena,
        "stack_budget_bytes": None if background is None else background.stack_budget_bytes,
        "provenance": None if background is None else background.provenance,
        "sparse_layers": [] if background is None else list(background.sparse_layers),
        "limits": [],
        "schema": SCHEMA,
        "mcu_ser": __version__,
        "samples": len(samples.x),
        "samples_origin": samples.origin,
        "samples_sha256": samples_digest(samples),
        "labels": None if samples.labels is None else list(samples.labels),
    }


def _figures(measurement: Measurement) -> dict[str, Any]:
    spread = _spread(measurement.ticks)
    return {
        "instructions": spread if measurement.ticks_are_instructions else NO_SPREAD,
        "ticks": spread
        | {
            "source": measurement.tick_source,
            "hz": measurement.tick_hz,
            "histogram": histogram(measurement.ticks),
        },
        "stack_high_water_bytes": measurement.stack_high_water_bytes,
        "link": measurement.link,
        "repeats": measurement.repeats,
        "boards": list(measurement.boards),
    }


def _mismatches(
    samples: Samples, expected: Outputs, actual: Outputs, differing: npt.NDArray[Any]
) -> list[dict[str, Any]]:
    return [
        {
            "sample": int(index),
            "id": samples.ids[index],
            "differing_bytes": int(differing[index]),
            "largest_difference": int(
                np.abs(expected[index].astype(np.int64) - actual[index].astype(np.int64)).max()
            ),
            "expected_hex": _bytes(expected[index])[:64].tobytes().hex(),
            "device_hex": _bytes(actual[index])[:64].tobytes().hex(),
        }
        for index in np.flatnonzero(differing)[:NAMED_MISMATCHES]
    ]


def _bytes(outputs: Outputs) -> npt.NDArray[np.int8]:
    return np.ascontiguousarray(outputs).view(np.int8)


def _scores(samples: Samples, outputs: Outputs) -> dict[str, Any]:
    decided, classes = decisions(outputs), samples.classes or outputs.shape[1]
    # A device whose bytes are wrong may name a class that there is not.
    if samples.y is None or decided.max() >= classes:
        return NO_SCORES
    scores: Scores = score(samples.y, decided, classes)
    return asdict(scores) | {
        "uar_interval": uar_interval(scores.confusion),
        "recall_intervals": [
            wilson_interval(row[index], sum(row)) for index, row in enumerate(scores.confusion)
        ],
    }


def _litert(samples: Samples, expected: Outputs, litert: Outputs) -> dict[str, Any]:
    differing = int(np.count_nonzero((expected != litert).any(axis=1)))
    return _scores(samples, litert) | {
        "samples_differing_from_oracle": differing,
        "why": "LiteRT's kernels round once where TFLite-Micro rounds twice; the device follows TFLite-Micro",
    }


def _spread(values: npt.NDArray[np.uint64]) -> dict[str, int | None]:
    if not len(values):
        return NO_SPREAD
    # The lower median is a value that was measured, an exact integer.
    ordered = np.sort(values)
    return {"min": int(ordered[0]), "median": int(ordered[(len(ordered) - 1) // 2]), "max": int(ordered[-1])}


def _junit(report: Report) -> bytes:
    document = report.document
    name = f"mcu-ser.verify.{document['board']}.{document['engine']}"
    features = report.differing_features or (0,) * len(report.sample_ids)
    cases: Sequence[tuple[str, str | None]] = [
        (sample_id, _differences(of_output, of_map))
        for sample_id, of_output, of_map in zip(
            report.sample_ids, report.differing_bytes, features, strict=True
        )
    ]
    if document["layers"] is not None:
        cases = [*cases, ("layers", document["layers"]["problem"])]
    cases = [*cases, *((f"limit: {limit['name']}", limit_problem(limit)) for limit in document["limits"])]
    # A run without per-sample results still has one case, which fails: an empty suite counts as success.
    cases = cases or [("verdict", document["reason"])]
    failures = sum(problem is not None for _, problem in cases)
    suite = ElementTree.Element(
        "testsuite", name=name, tests=str(len(cases)), failures=str(failures), errors="0", skipped="0"
    )
    for sample_id, problem in cases:
        case = ElementTree.SubElement(suite, "testcase", classname=name, name=_xml_text(sample_id))
        if problem is not None:
            ElementTree.SubElement(case, "failure", message=_xml_text(problem))
    root = ElementTree.Element("testsuites")
    root.append(suite)
    ElementTree.indent(root)
    encoded: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return encoded + b"\n"


def _differences(of_output: int, of_map: int) -> str | None:
    said = [
        f"{count} {what} differ from the {whose}'s"
        for count, what, whose in ((of_map, "features", "host"), (of_output, "output bytes", "oracle"))
        if count
    ]
    return "; ".join(said) or None


def _xml_text(text: str) -> str:
    # XML 1.0 has no way to write most control characters, not even escaped.
    return "".join(
        character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text
    )
