# SPDX-License-Identifier: Apache-2.0
"""`mcu-ser inspect`: what a .tflite is made of, what it costs, and which boards it fits."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from mcu_ser.cli.console import Output, add_json_option
from mcu_ser.cli.generate import add_optimize_option, taken_off_text
from mcu_ser.cli.layer_costs import (
    error_text,
    predicted_total,
    predictions_text,
    shape_text,
    shortened,
    show_layer_costs,
)
from mcu_ser.shell_command import shell_command

if TYPE_CHECKING:
    import argparse

    from mcu_ser.aot.compile import CompiledModel, TensorSpec
    from mcu_ser.aot.ir import Graph
    from mcu_ser.board import Board
    from mcu_ser.generate.assessment import Assessment, Verdict
    from mcu_ser.generate.fit import Fit, FrontEndSize
    from mcu_ser.generate.front_end_cost import FrontEndCost

_ENGINES = ("aot", "tflm")
# The figures are less than a whole firmware, and so are the limits.
_WHAT_IS_COUNTED = (
    "Flash and RAM are what the model takes, of what the board has for it beside runtime, kernels and stack."
)


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> argparse.ArgumentParser:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "inspect",
        help="show what a .tflite costs and which boards it fits",
        description="Show the layers of an int8 or 16x8 .tflite, what they cost, and for each board and "
        "engine whether the model fits, by how many bytes it does not, and which layer needs the most.",
    )
    parser.add_argument("model", type=Path, metavar="MODEL.tflite", help="int8 or 16x8 model")
    parser.add_argument(
        "--board",
        action="append",
        metavar="BOARD",
        help="a board that the model must fit with one of the engines, or all: every board, none of which "
        "it must fit (default); may be repeated",
    )
    parser.add_argument(
        "--front-end", type=Path, metavar="JSON", help="with this front end in the firmware: front_end.json"
    )
    parser.add_argument("--engine", choices=_ENGINES, help="this engine alone (default: both)")
    add_optimize_option(parser)
    parser.add_argument("--boards-dir", type=Path, metavar="DIR", help="take board files from here")
    parser.add_argument(
        "--memory-svg",
        type=Path,
        metavar="FILE",
        help="draw the arena as engine aot plans it: an SVG picture",
    )
    add_json_option(parser)
    return parser


def run(args: argparse.Namespace) -> int:
    """Run the command; returns 0.

    Raises:
        ConfigError: The engine cannot be built for size.
        ModelError: The model cannot be read, or has layers that no engine supports.
        BudgetError: The model does not fit a board that was asked for by name.
    """
    from mcu_ser.aot.float_edges import load_quantized
    from mcu_ser.aot.optimization import Optimization
    from mcu_ser.generate.assessment import assess, check_assessment, check_runnable
    from mcu_ser.generate.engine_model import require_optimization

    output = Output(as_json=args.json)
    named = args.board or ["all"]
    boards = _boards(named, args.boards_dir)
    engines = (args.engine,) if args.engine else _ENGINES
    quantized = load_quantized(args.model)
    model = quantized.content
    hearing = None if args.front_end is None else _front_end(args.front_end, model, str(args.model))
    size = None if hearing is None else hearing[0]
    require_optimization(args.engine or "aot", Optimization(args.optimize))
    assessment = assess(model, str(args.model), boards, engines, size, Optimization(args.optimize))
    check_runnable(assessment)
    if not args.json:
        _print_model(output, assessment)
        if quantized.taken_off:
            output.say(taken_off_text(quantized.taken_off))
        _print_engines(output, assessment)
        if hearing is not None:
            _print_front_end(output, *hearing)
        _print_verdicts(output, assessment)
        output.say(_WHAT_IS_COUNTED)
    written = () if args.memory_svg is None else (_draw(args.memory_svg, assessment),)
    for board in boards:
        if board.id in named:
            check_assessment(assessment, board)
    # Last: an error is a document too, and a program reads one.
    output.document(_document(args.model, assessment, hearing) | {"taken_off": quantized.taken_off})
    options = [] if args.front_end is None else ["--front-end", args.front_end]
    chosen = _next_options(assessment)
    if args.optimize != "speed" and "tflm" not in chosen:
        options += ["--optimize", args.optimize]
    generate = ("mcu-ser", "generate", args.model, *chosen, *options, "--out", "PROJECT")
    output.wrote(*written, next_command=shell_command(*generate))
    return 0


def _draw(path: Path, assessment: Assessment) -> Path:
    from mcu_ser.aot.memory_plan_svg import memory_plan_svg
    from mcu_ser.artifacts import write_text
    from mcu_ser.errors import ModelError

    if assessment.compiled is None:
        raise ModelError(assessment.name, "has no memory plan to draw: engine aot cannot run it")
    write_text(path, memory_plan_svg(assessment.compiled))
    return path


def _front_end(path: Path, model: bytes, name: str) -> tuple[FrontEndSize, FrontEndCost]:
    """What the front end takes of a board, if it is that of the model."""
    from mcu_ser.aot.tflite_reader import read_model
    from mcu_ser.features.front_end import FrontEnd
    from mcu_ser.generate.front_end import front_end_size, require_fitting_front_end
    from mcu_ser.generate.front_end_cost import front_end_cost

    front_end, graph = FrontEnd.load(path), read_model(model, name)
    entrance, exit_ = graph.tensors[graph.inputs[0]], graph.tensors[graph.outputs[0]]
    require_fitting_front_end(front_end, entrance, exit_.dtype, path)
    return front_end_size(front_end), front_end_cost(front_end.spec)


def _boards(names: list[str], directory: Path | None) -> list[Board]:
    from mcu_ser.board import list_boards, load_board

    named = [name for name in dict.fromkeys(names) if name != "all"]
    boards = [load_board(name, directory) for name in named]
    if "all" in names:
        boards += [board for board in list_boards(directory) if board.id not in named]
    return boards


def _next_options(assessment: Assessment) -> tuple[str, ...]:
    """The first board and engine that fit."""
    fitting = next((verdict for verdict in assessment.verdicts if verdict.fits), None)
    if fitting is None:
        return "--board", "BOARD"
    return "--board", fitting.board_id, "--engine", fitting.engine


def _print_model(output: Output, assessment: Assessment) -> None:
    """Layers and totals: as the ahead-of-time engine compiles them, or as the file has them."""
    if assessment.compiled is None:
        _print_operators(output, assessment.graph)
        output.say(f"model   {assessment.name}, SHA-256 {assessment.sha256}")
        return
    show_layer_costs(output, assessment.compiled)
    _print_totals(output, assessment.compiled)


def _print_operators(output: Output, graph: Graph) -> None:
    from rich.table import Table
    from rich.text import Text

    from mcu_ser.aot.ir import short_name

    table = Table()
    for heading in ("#", "operator", "name", "output"):
        table.add_column(heading, overflow="fold")
    for operator in graph.operators:
        name = short_name(graph.layer_name(operator))
        shapes = ", ".join(tensor.shape_text for tensor in graph.results(operator))
        table.add_row(str(operator.index), operator.opcode, Text(shortened(name)), shapes)
    output.table(table)


def _print_totals(output: Output, compiled: CompiledModel) -> None:
    bound = compiled.plan.lower_bound
    over = f"{compiled.arena_bytes / bound - 1:.1%} above the lower bound of {bound} B"
    output.say(f"model   {compiled.name}, SHA-256 {compiled.sha256}")
    output.say(f"input   {_spec_text(compiled.input)}")
    output.say(f"output  {_spec_text(compiled.output)}")
    output.say(f"MACs    {compiled.macs}{predictions_text(compiled)}")
    errors = error_text(compiled)
    if errors is not None:
        output.say(errors)
    folded = [layer.left_out for layer in compiled.layers if layer.left_out]
    if folded:
        what = f"{sum(folded)} channels of {len(folded)} layers, on which no output depends"
        output.say(f"folded  {what}: engine aot does not compute them, and they are not counted above")
    output.say(f"arena   {compiled.arena_bytes} B as planned by engine aot, {over}")


def _spec_text(spec: TensorSpec) -> str:
    offset = f" {'-' if spec.zero_point > 0 else '+'} {abs(spec.zero_point)}" if spec.zero_point else ""
    stored = spec.dtype.lower()
    return f"{shape_text(spec.shape)} {stored}, real = {spec.scale:.9g} * ({stored}{offset})"


def _print_engines(output: Output, assessment: Assessment) -> None:
    """What each engine needs whatever the board, or why it cannot run the model."""
    for answer in assessment.answers():
        if answer.needs is None:
            output.say(f"{answer.library}: cannot run this model")
            for line in answer.refusals:
                output.say(f"  {line}")
            continue
        needs = answer.needs
        output.say(f"{answer.library}:")
        output.say(f"  flash {needs.flash_bytes} B for {needs.constants}{_most(needs.flash_layer)}")
        output.say(
            f"  RAM   {needs.arena_bytes} B for the arena, {needs.arena_basis}{_most(needs.arena_layer)}"
        )


def _print_front_end(output: Output, size: FrontEndSize, cost: FrontEndCost) -> None:
    output.say("front end:")
    output.say(f"  flash {size.flash_bytes} B for its tables and code")
    output.say(f"  RAM   {size.ram_bytes} B for the rows of the map, the last samples and a spectrum")
    output.say(
        f"  time  {cost.per_frame:,} instructions of a Cortex-M4 every {cost.frame_ms:g} ms "
        f"({cost.per_frame_portable:,} without DSP instructions), {cost.per_map:,} per inference for the map,"
    )
    output.say(
        f"        {cost.per_clip:,} for a clip as long as the map "
        f"({cost.per_clip_portable:,} without DSP instructions)"
    )
    output.say(
        f"        estimated cycles, without wait states: {cost.cycles_per_frame:,} per frame "
        f"({cost.cycles_per_frame_portable:,} without DSP instructions), {cost.cycles_per_map:,} per map"
    )


def _most(layer: str | None) -> str:
    return "" if layer is None else f", most at {layer}"


def _print_verdicts(output: Output, assessment: Assessment) -> None:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("board", "engine", "verdict"):
        table.add_column(heading, no_wrap=True)
    for heading in ("flash B, of it", "RAM B, of it"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("tightest", no_wrap=True)
    previous = None
    for verdict in assessment.verdicts:
        name = "" if verdict.board_id == previous else verdict.board_id
        table.add_row(name, verdict.engine, *_verdict_cells(verdict))
        previous = verdict.board_id
    output.table(table)


def _verdict_cells(verdict: Verdict) -> tuple[str, ...]:
    if verdict.answer is None:
        return "not on this platform", "", "", ""
    if verdict.fit is None:
        return "cannot run it", "", "", ""
    fit, needs = verdict.fit, verdict.fit.needs
    return (
        _verdict_text(fit),
        _share(needs.flash_bytes, fit.flash_limit),
        _share(needs.arena_bytes, fit.arena_limit),
        _dominant(fit),
    )


def _dominant(fit: Fit) -> str:
    """Such as "arena: layer 7"; what the layer is has been said above."""
    layer = fit.dominant_layer
    if fit.flash_limit is None or fit.arena_limit is None:
        return ""
    return fit.dominant if layer is None else f"{fit.dominant}: {layer.partition(',')[0]}"


def _verdict_text(fit: Fit) -> str:
    """The line break keeps the column narrow when both are too small."""
    excess = [
        f"{kind} short of {count:,} B"
        for kind, count in (("RAM", fit.arena_excess), ("flash", fit.flash_excess))
        if count
    ]
    return "\n".join(excess) or "fits"


def _share(need: int, limit: int | None) -> str:
    return f"{need:,}" if not limit else f"{need:,} {100 * need / limit:4.0f} %"


def _document(
    path: Path, assessment: Assessment, front_end: tuple[FrontEndSize, FrontEndCost] | None
) -> dict[str, Any]:
    from dataclasses import asdict

    compiled = assessment.compiled
    figures: dict[str, Any] = dict.fromkeys(
        (
            *("input", "output", "macs", "weight_bytes", "arena_bytes", "arena_lower_bound"),
            *("predicted_instructions", "layers", "buffers"),
        )
    )
    if compiled is not None:
        figures = {
            "input": asdict(compiled.input),
            "output": asdict(compiled.output),
            "macs": compiled.macs,
            "weight_bytes": compiled.weight_bytes,
            "arena_bytes": compiled.arena_bytes,
            "arena_lower_bound": compiled.plan.lower_bound,
            "predicted_instructions": predicted_total(compiled),
            "layers": [asdict(layer) for layer in compiled.layers],
            "buffers": [
                asdict(buffer) | {"offset": compiled.plan.offsets[buffer.tensor]}
                for buffer in compiled.buffers
            ],
        }
    return {
        "model": str(path),
        "sha256": assessment.sha256,
        **figures,
        "front_end": None
        if front_end is None
        else asdict(front_end[0]) | {"instructions": asdict(front_end[1])},
        "boards": [_verdict_document(verdict) for verdict in assessment.verdicts],
    }


def _verdict_document(verdict: Verdict) -> dict[str, Any]:
    """One board with one engine; the figures are None where the engine does not run the model."""
    fit = verdict.fit
    needs = None if fit is None else fit.needs
    figures = (
        *("flash_limit", "flash_excess", "arena_limit", "arena_excess", "arena_region"),
        *("dominant", "dominant_layer"),
    )
    own = ("flash_bytes", "arena_bytes", "arena_basis", "flash_layer", "arena_layer")
    return {
        "board_id": verdict.board_id,
        "engine": verdict.engine,
        "available": verdict.answer is not None,
        "library": None if verdict.answer is None else verdict.answer.library,
        "refusals": [] if verdict.answer is None else list(verdict.answer.refusals),
        "fits": verdict.fits,
        **{key: None if fit is None else getattr(fit, key) for key in figures},
        **{key: None if needs is None else getattr(needs, key) for key in own},
    }
