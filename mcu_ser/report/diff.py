# SPDX-License-Identifier: Apache-2.0
"""Two reports of `verify` side by side: two boards, two engines, two models, or the same ones a week later.

Runs of one model are compared by the output bytes of every sample, runs of two models by what they decide.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mcu_ser.errors import ConfigError

SCHEMA = 1
# The comparison names this many samples; the counts are always whole.
NAMED = 20

Document = dict[str, Any]

# Of each report as it is.
_OWN = (
    *("board", "engine", "model_sha256", "build_id", "oracle", "verdict", "reason", "samples"),
    *("samples_origin", "identical", "host", "device", "instructions", "ticks", "flash_bytes", "ram_bytes"),
    *("arena", "stack_high_water_bytes", "link"),
)  # fmt: skip


@dataclass(frozen=True)
class Answers:
    """How the answers of two runs differ.

    Attributes:
        by: "bytes" (two runs of one model) or "decisions" (of two models).
        compared: Samples in both.
        differing: Samples whose answers differ.
        decisions_differing: Samples of which the two say another class.
        named: The first that differ.
    """

    by: str
    compared: int
    differing: int
    decisions_differing: int
    named: tuple[dict[str, Any], ...]


@dataclass(frozen=True)
class Difference:
    """Two runs, and how they differ. `answers` is None if one did not come to its end."""

    a: Document
    b: Document
    answers: Answers | None

    @property
    def same_model(self) -> bool:
        return bool(self.a["model_sha256"] == self.b["model_sha256"])

    @property
    def equal(self) -> bool:
        """Whether both passed, and every answer is the other's."""
        passed = self.a["verdict"] == self.b["verdict"] == "pass"
        return passed and self.answers is not None and self.answers.differing == 0

    @property
    def reason(self) -> str:
        """In one sentence, what differs."""
        failed = [name for name, run in (("A", self.a), ("B", self.b)) if run["verdict"] != "pass"]
        if self.answers is None:
            ended = [name for name, run in (("A", self.a), ("B", self.b)) if run["answers"] is None]
            return f"{' and '.join(ended)} did not come to an end: there is nothing to compare"
        what = "outputs" if self.answers.by == "bytes" else "decisions"
        if self.answers.differing:
            first = self.answers.named[0]["id"]
            text = f"{self.answers.differing} of {self.answers.compared} {what} differ; first: {first}"
        else:
            text = f"all {self.answers.compared} {what} are equal"
        return text + (f"; {' and '.join(failed)} failed" if failed else "")

    @property
    def ticks_ratio(self) -> float | None:
        """Median duration of B over that of A; None if they are not on equal ground."""
        a, b = (_duration(run) for run in (self.a, self.b))
        if a is None or b is None or a[0] != b[0] or not a[1]:
            return None
        return b[1] / a[1]

    @property
    def uar_difference(self) -> float | None:
        """UAR of B's device minus that of A's; None without true classes."""
        a, b = self.a["device"]["uar"], self.b["device"]["uar"]
        return None if a is None or b is None else float(b - a)

    def document(self) -> Document:
        """For programs."""
        answers = self.answers
        return {
            "schema": SCHEMA,
            "runs": [{key: run[key] for key in _OWN} for run in (self.a, self.b)],
            "same_model": self.same_model,
            "equal": self.equal,
            "reason": self.reason,
            "answers": None if answers is None else vars(answers) | {"named": list(answers.named)},
            "uar_difference": self.uar_difference,
            "ticks_ratio": self.ticks_ratio,
            "flash_ratio": _ratio(self.a["flash_bytes"], self.b["flash_bytes"]),
            "ram_ratio": _ratio(self.a["ram_bytes"], self.b["ram_bytes"]),
        }


def diff_reports(a: Document, b: Document) -> Difference:
    """Compare two documents of `report.json`.

    Raises:
        ConfigError: The runs were over other samples.
    """
    _require_same_samples(a, b)
    if a["answers"] is None or b["answers"] is None:
        return Difference(a, b, None)
    by = "bytes" if a["model_sha256"] == b["model_sha256"] else "decisions"
    key = "device_crc32" if by == "bytes" else "device_classes"
    left, right = a["answers"], b["answers"]
    differing = [
        index for index, pair in enumerate(zip(left[key], right[key], strict=True)) if pair[0] != pair[1]
    ]
    classes = list(zip(left["device_classes"], right["device_classes"], strict=True))
    return Difference(
        a,
        b,
        Answers(
            by=by,
            compared=len(classes),
            differing=len(differing),
            decisions_differing=sum(first != second for first, second in classes),
            named=tuple(
                {
                    "sample": index,
                    "id": left["ids"][index],
                    "a_class": classes[index][0],
                    "b_class": classes[index][1],
                }
                for index in differing[:NAMED]
            ),
        ),
    )


def _require_same_samples(a: Document, b: Document) -> None:
    """Equal bytes are the same samples. Two models quantise them to other bytes: there, names decide."""
    if a["samples_sha256"] == b["samples_sha256"]:
        return
    if a["model_sha256"] != b["model_sha256"] and _names(a) is not None and _names(a) == _names(b):
        return
    problem = f"is over {_described(a)}, the other over {_described(b)}: other samples"
    raise ConfigError("the first report", problem, hint="two runs with the same --samples")


def _described(document: Document) -> str:
    digest = document["samples_sha256"][:12]
    return f"{document['samples_origin']} ({document['samples']} samples, SHA-256 {digest})"


def _names(document: Document) -> tuple[Any, ...] | None:
    """Ids of the samples and counts of their true classes, None if they are not known."""
    confusion = document["host"]["confusion"]
    if document["answers"] is None or confusion is None:
        return None
    return document["answers"]["ids"], document["labels"], [sum(row) for row in confusion]


def _duration(document: Document) -> tuple[tuple[Any, ...], float] | None:
    """What was counted, and the median of it; counts of one kind may be compared.

    Instructions are those of any board, and a clock of known frequency measures time. Ticks of unknown length
    say something on one and the same type of board only.
    """
    instructions, ticks = document["instructions"]["median"], document["ticks"]["median"]
    if instructions is not None:
        return ("instructions",), float(instructions)
    if ticks is None:
        return None
    if document["ticks"]["hz"]:
        return ("seconds",), ticks / document["ticks"]["hz"]
    return ("ticks", document["board"], document["ticks"]["source"]), float(ticks)


def _ratio(a: int, b: int) -> float | None:
    return b / a if a else None
