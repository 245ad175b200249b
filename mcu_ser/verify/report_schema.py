# SPDX-License-Identifier: Apache-2.0
"""What `report.json` holds, key by key: the source of `report.schema.json`, and the guard of every reader.

A key of another type or an unknown one is an error: who reads a report may rely on all of it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mcu_ser.artifacts import canonical_json
from mcu_ser.errors import ConfigError

# Raised when a key changes its meaning or goes. 2: intervals, answers, memory, limits, provenance.
SCHEMA: Final = 2
SCHEMA_PATH = Path(__file__).with_name("report.schema.json")
REPORT_NAME = "report.json"

Count = Annotated[int, Field(ge=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Interval: TypeAlias = tuple[Fraction, Fraction]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Hex = Annotated[str, Field(pattern=r"^([0-9a-f]{2})*$")]
Int8 = Annotated[int, Field(ge=-128, le=127)]
Crc32 = Annotated[int, Field(ge=0, le=0xFFFFFFFF)]


class _Part(BaseModel):
    # Docstrings become the descriptions of the schema.
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class ScoresPart(_Part):
    """Scores over all samples; null without true classes.

    Intervals are at 95 %: of UAR by bootstrap over samples, of recalls after Wilson.
    """

    uar: Fraction | None
    uar_interval: Interval | None
    accuracy: Fraction | None
    recalls: tuple[Fraction | None, ...] | None
    recall_intervals: tuple[Interval | None, ...] | None
    confusion: tuple[tuple[Count, ...], ...] | None


class LitertPart(ScoresPart):
    """LiteRT's answers, for information."""

    samples_differing_from_oracle: Count
    why: str


class MismatchPart(_Part):
    """A sample whose output is not the oracle's; the outputs' first 64 bytes."""

    sample: Count
    id: str
    differing_bytes: Annotated[int, Field(ge=1)]
    largest_difference: Annotated[int, Field(ge=1)]
    expected_hex: Hex
    device_hex: Hex


class SpreadPart(_Part):
    """Duration of the inferences that nothing disturbed; null if not measured."""

    min: Count | None
    median: Count | None
    max: Count | None


class HistogramPart(_Part):
    """Bin i counts the inferences of first + i * width to first + (i + 1) * width - 1 ticks."""

    first: Count
    width: Annotated[int, Field(ge=1)]
    counts: Annotated[tuple[Count, ...], Field(min_length=1)]


class TicksPart(SpreadPart):
    """Spread in ticks of the board's counter; `hz` 0 if its frequency is unknown."""

    source: str | None
    hz: Count | None
    histogram: HistogramPart | None


class LinkPart(_Part):
    """Counters of the link; any further number may stand here."""

    model_config = ConfigDict(frozen=True, extra="allow", strict=True, allow_inf_nan=False)
    __pydantic_extra__: dict[str, int | float | None]

    frames: Count | None
    retries: Count | None
    bytes_per_s: Annotated[float, Field(ge=0)] | None


class RepeatsPart(_Part):
    """Samples that were run twice and gave the same bytes; a difference ends a run."""

    every: Count
    samples: Count
    across_boards: Count


class BoardPart(_Part):
    """What one board computed. `port` is null for a board that was started for the run."""

    port: str | None
    samples: Count
    ranges: str
    repeats: Count
    lost: str | None


class AnswersPart(_Part):
    """Every sample in order: CRC-32 of its output bytes, and the index of the largest output."""

    ids: tuple[str, ...]
    oracle_crc32: tuple[Crc32, ...]
    device_crc32: tuple[Crc32, ...]
    oracle_classes: tuple[Count, ...]
    device_classes: tuple[Count, ...]


class RegionPart(_Part):
    """What the firmware takes of a memory region of the board."""

    name: str
    kind: Literal["flash", "ram"]
    bytes: Count
    limit_bytes: Count


class ArenaPart(_Part):
    """Memory of the activations; `budget_bytes` is what the board file gives, null without limit."""

    bytes: Count
    basis: Literal["planned", "estimated", "given", "certified"]
    budget_bytes: Count | None


class LimitPart(_Part):
    """A limit that the user gave, and whether it held; `value` is null if it was not measured.

    One on instructions has to hold in every one of `samples`; it says of how many they were `measured`.
    """

    name: Literal["flash", "ram", "instructions"]
    limit: Count
    value: Count | None
    held: bool
    samples: Count | None = None
    measured: Count | None = None


class LayerPart(_Part):
    """A layer of the traced sample; times only if they were asked for.

    `left_out` channels of the file's tensor are not computed, because no output depends on them; `shape`,
    `bytes` and `macs` are of the rest.
    """

    index: Count
    operator: str
    name: str
    shape: tuple[Count, ...]
    bytes: Count
    left_out: Count = 0
    macs: Count
    identical: bool
    ticks: Count | None = None
    share: Fraction | None = None
    ticks_per_mac: Annotated[float, Field(ge=0)] | None = None
    predicted_ticks: Count | None = None


class WrongLayerPart(_Part):
    """The first layer whose tensor is not the oracle's, and the likely cause."""

    index: Count
    operator: str
    name: str
    shape: tuple[Count, ...]
    differing: Count
    values: Count
    largest_difference: Count
    first: tuple[Count, ...]
    expected: int
    device: int
    wrong_channels: Count
    channels: Count
    channel_indices: tuple[Count, ...]
    cause: str
    cause_text: str


class LayerTicksPart(_Part):
    """Ticks of all layers together; null if any was not measured."""

    source: str
    total: Count | None


class LayersPart(_Part):
    """What a trace of one sample found."""

    sample: Count
    sample_id: str
    first_wrong: WrongLayerPart | None
    ticks: LayerTicksPart | None
    layers: tuple[LayerPart, ...]
    problem: str | None


class MapMismatchPart(_Part):
    """A clip whose feature map is not the host's, and the first value that differs."""

    sample: Count
    id: str
    differing_bytes: Annotated[int, Field(ge=1)]
    largest_difference: Annotated[int, Field(ge=1, le=255)]
    frame: Count
    band: Count
    expected: Int8
    device: Int8


class FrontEndPart(_Part):
    """Ticks of the board for frames with nothing sent to it meanwhile, the map included."""

    rows: Annotated[int, Field(ge=1)]
    ticks: Annotated[int, Field(ge=1)]
    ticks_per_row: Annotated[float, Field(gt=0)]


class FrontEndNeedsPart(_Part):
    """What the front end takes apart from the model, told from its sizes before it runs.

    Instructions are those of a Cortex-M4, with DSP instructions if the board has them (`dsp`); a clip is one
    as long as the map, of `frames` frames, a frame every `frame_ms`. Cycles are estimated from the
    core's manual, without wait states. Flash is at most what is told.
    """

    frames: Annotated[int, Field(ge=1)]
    frame_ms: Annotated[float, Field(gt=0)]
    dsp: bool
    instructions_per_frame: Count
    instructions_per_map: Count
    instructions_per_clip: Count
    cycles_per_frame: Count
    cycles_per_map: Count
    flash_bytes: Count
    ram_bytes: Count


class AudioPart(_Part):
    """What boards with a front end made of the clips; `samples` are those of all clips at 16 kHz.

    `stream`: each is the newest window of a stream.
    """

    clips: Annotated[int, Field(ge=1)]
    samples: Annotated[int, Field(ge=1)]
    stream: bool
    identical: Count
    mismatches: tuple[MapMismatchPart, ...]
    front_end: FrontEndPart | None
    front_end_needs: FrontEndNeedsPart | None = None


class FormPart(_Part):
    """What a layer takes with a kernel: bytes of constants, and instructions as the cost model predicts them.

    `predicted_instructions` is null for a core without DSP instructions.
    """

    kernel: str
    bytes: Count
    predicted_instructions: Count | None


class SparseLayerPart(_Part):
    """A layer of engine aot that may leave out zeros: how many there are, and what that saves.

    `dense` is its best kernel that multiplies every weight, `sparse` the best that does not, `chosen` which
    of the two the firmware has: the sparse one if it takes less of both.
    """

    index: Count
    operator: str
    name: str
    weights: Count
    zeros: Count
    dense: FormPart
    sparse: FormPart
    chosen: Literal["dense", "sparse"]


class ProvenancePart(_Part):
    """Where the figures come from.

    `emulator` is what stands in for the board where no port is given, `hashes` are SHA-256 by file name.
    """

    command: str | None
    board_name: str
    mcu: str
    emulator: str | None
    compiler: str | None
    macs: Count
    weight_bytes: Count
    optimization: Literal["speed", "size"] = "speed"
    versions: dict[str, str]
    hashes: dict[str, Sha256]


class ReportDocument(_Part):
    """Verdict and figures of one run of `mcu-ser verify`. What a run that did not end lacks is null."""

    model_config = ConfigDict(title="report.json of mcu-ser verify")

    schema_version: Annotated[Literal[2], Field(alias="schema")]
    mcu_ser: str
    verdict: Literal["pass", "fail"]
    reason: str
    board: str
    engine: Literal["aot", "tflm"]
    model_sha256: Sha256
    build_id: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
    oracle: str
    changed_files: tuple[str, ...]
    samples: Annotated[int, Field(ge=1)]
    samples_origin: str
    samples_sha256: Sha256
    labels: tuple[str, ...] | None
    identical: Count | None
    mismatches: tuple[MismatchPart, ...]
    answers: AnswersPart | None
    host: ScoresPart
    device: ScoresPart
    litert: LitertPart | None
    layers: LayersPart | None
    audio: AudioPart | None
    instructions: SpreadPart
    ticks: TicksPart
    flash_bytes: Count
    flash_limit_bytes: Count | None
    ram_bytes: Count
    ram_limit_bytes: Count | None
    memory: tuple[RegionPart, ...]
    arena: ArenaPart | None
    stack_high_water_bytes: Count | None
    stack_budget_bytes: Count | None
    limits: tuple[LimitPart, ...]
    link: LinkPart
    repeats: RepeatsPart | None
    boards: tuple[BoardPart, ...]
    sparse_layers: tuple[SparseLayerPart, ...]
    provenance: ProvenancePart | None


def schema_text() -> str:
    """The text of `report.schema.json`."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **ReportDocument.model_json_schema()}
    return canonical_json(schema)


def read_report(path: Path) -> dict[str, Any]:
    """The document of a report.

    Args:
        path: `report.json`, or the directory that holds it.

    Raises:
        ConfigError: There is none, or it is not one of this version.
    """
    file = path / REPORT_NAME if path.is_dir() else path
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        problem = f"cannot be read ({getattr(error, 'strerror', None) or 'not UTF-8'})"
        raise ConfigError(file, problem, hint="the --out directory of a `mcu-ser verify`") from error
    try:
        ReportDocument.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(str(part) for part in first["loc"]) or "content"
        problem = f"is not a report of this version of mcu-ser ({key}: {first['msg'].lower()})"
        raise ConfigError(file, problem, hint="mcu-ser verify again") from error
    document: dict[str, Any] = json.loads(text)
    return document
