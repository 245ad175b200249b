# SPDX-License-Identifier: Apache-2.0
"""`mcu-ser verify`: every sample over the serial port, every output byte compared with the oracle's."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mcu_ser.cli.console import Output, add_json_option
from mcu_ser.shell_command import shell_command
from mcu_ser.wording import counted

if TYPE_CHECKING:
    import argparse

    from mcu_ser.generate.project import Project
    from mcu_ser.verify.check import RunRequest
    from mcu_ser.verify.layers import LayerRequest
    from mcu_ser.verify.limits import Limits
    from mcu_ser.verify.report import Report
    from mcu_ser.verify.samples import Samples


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> argparse.ArgumentParser:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "verify",
        help="check the board's outputs byte for byte against the host",
        description="Send every sample to the board and compare every output byte with TFLite-Micro's. "
        "Exits with 1 if any sample differs or a limit is passed, with 4 if the run could not be completed, "
        "with 130 if Ctrl-C ended it. A command that is refused before the board is asked changes nothing in "
        "--out; from then on a report there is this run's. "
        "Without --port a board that has an emulator is emulated, and another is found by its USB ids.",
    )
    parser.add_argument("project", type=Path, metavar="PROJECT", help="firmware project, built")
    samples = parser.add_mutually_exclusive_group(required=True)
    samples.add_argument(
        "--samples", type=Path, metavar="NPZ", help="x (int8, or float features), optional y, labels, ids"
    )
    samples.add_argument("--random", type=int, metavar="N", help="N random int8 samples")
    parser.add_argument("--seed", type=int, default=1, help="of --random (default 1)")
    parser.add_argument(
        "--input",
        choices=("features", "audio"),
        default="features",
        help="what is sent: the model's input (default), or audio, of which firmware of generate --front-end "
        "makes it: --samples is then an audio.npz of convert, and --random N clips of noise",
    )
    _add_run_options(parser)
    parser.add_argument(
        "--certify-arena",
        action="store_true",
        help="engine tflm: first find the least arena that runs on the board, and make it the project's",
    )
    parser.add_argument(
        "--no-litert", action="store_true", help="do not report LiteRT's answers (saves loading TensorFlow)"
    )
    _add_limit_options(parser)
    _add_layer_options(parser)
    add_json_option(parser)
    return parser


def _add_run_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--port",
        action="append",
        default=[],
        metavar="URL",
        help="port of a flashed board: COM3, /dev/ttyACM0, socket://HOST:PORT, rfc2217://HOST:PORT; "
        "several times for identical boards that share the samples",
    )
    parser.add_argument(
        "--repeat-every",
        type=_count,
        metavar="K",
        help="run one in K samples twice, in another order, and require the same bytes (default 16; 0: none)",
    )
    parser.add_argument(
        "--every",
        type=_count,
        metavar="FRAMES",
        help="with --input audio: the clips as streams, and an inference on the newest window every so many "
        "frames (of 16 ms, if the recipe says nothing else)",
    )
    parser.add_argument(
        "--random-blocks",
        type=_count,
        metavar="SEED",
        help="with --input audio: cut the clips into blocks of random length, which must not matter",
    )
    parser.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="DIR",
        help="for report.json, junit.xml and report.html, and until the run is complete its journal",
    )
    parser.add_argument(
        "--resume", action="store_true", help="go on where an interrupted run with the same --out stopped"
    )


def _count(text: str) -> int:
    import argparse

    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 0")
    return int(text)


def _add_limit_options(parser: argparse.ArgumentParser) -> None:
    limits = parser.add_argument_group(
        "limits", "beside those of the board; a firmware over one fails the check"
    )
    limits.add_argument("--max-flash", type=_count, metavar="BYTES", help="most flash")
    limits.add_argument("--max-ram", type=_count, metavar="BYTES", help="most RAM")
    limits.add_argument(
        "--max-instructions",
        type=_count,
        metavar="N",
        help="most instructions of an inference, of an emulated STM32 board, which counts them exactly",
    )


def _add_layer_options(parser: argparse.ArgumentParser) -> None:
    layers = parser.add_argument_group("layer by layer", "for projects of `mcu-ser generate --layers`")
    layers.add_argument(
        "--bisect", action="store_true", help="name the first layer that differs, and what is likely wrong"
    )
    layers.add_argument("--profile", action="store_true", help="measure the time of each layer")
    layers.add_argument(
        "--sample",
        type=int,
        metavar="N",
        help="sample to look into, from 0 (default: the first that differs, else 0)",
    )


def run(args: argparse.Namespace) -> int:
    """Run the command; returns 0 if every byte is equal, else 1."""
    from mcu_ser.generate.project import Project
    from mcu_ser.verify.certify import CERTIFICATE_NAME
    from mcu_ser.verify.check import check
    from mcu_ser.verify.layers import require_layers

    output = Output(as_json=args.json)
    layers, request = _layer_request(args), _run_request(args)
    project = Project.load(args.project)
    _limits(args).require_countable(project.board)
    samples = _samples(args, project, output)
    if layers is not None:
        require_layers(project, samples, layers)
    if args.certify_arena:
        project = _certify(output, args, project, samples)
        if args.port:
            return 0  # the board still has the firmware with the old arena
    report = check(
        project,
        samples,
        args.out,
        request,
        litert=not args.no_litert,
        layers=layers,
        limits=_limits(args),
        command=args.command_line,
        track=output.track,
    )
    show_report(output, report)
    output.document(report.document)
    output.wrote(
        *((args.project, args.out / CERTIFICATE_NAME) if args.certify_arena else ()),
        args.out / "report.json",
        args.out / "junit.xml",
        args.out / "report.html",
        next_command=_next_command(args, project, report),
    )
    return 0 if report.passed else 1


def _samples(args: argparse.Namespace, project: Project, output: Output) -> Samples:
    from mcu_ser.verify.samples import load_samples, random_samples

    if args.input == "audio":
        from mcu_ser.verify.audio_samples import as_streams, front_end_of, load_audio, random_audio

        front_end = front_end_of(project)
        if args.samples:
            clips = load_audio(args.samples, front_end, project.output.bytes, output.track)
        else:
            clips = random_audio(args.random, args.seed, front_end, output.track)
        return as_streams(clips, args.every, front_end, output.track) if args.every else clips
    if args.samples:
        return load_samples(args.samples, project.input, project.output.classes)
    return random_samples(args.random, args.seed, project.input)


def _limits(args: argparse.Namespace) -> Limits:
    from mcu_ser.verify.limits import Limits

    return Limits(args.max_flash, args.max_ram, args.max_instructions)


def _run_request(args: argparse.Namespace) -> RunRequest:
    """How the options want the samples to be run.

    Raises:
        ConfigError: They contradict each other.
    """
    from mcu_ser.errors import ConfigError
    from mcu_ser.verify.check import REPEAT_EVERY, RunRequest

    if args.certify_arena and len(args.port) > 1:
        raise ConfigError("--certify-arena", "asks one board", hint="one --port")
    if args.certify_arena and args.resume:
        raise ConfigError("--resume", "goes on with the firmware as it was", hint="not with --certify-arena")
    if args.random_blocks is not None and args.input != "audio":
        raise ConfigError("--random-blocks", "cuts audio", hint="--input audio with it")
    if args.every is not None and (args.input != "audio" or args.every == 0):
        problem = "is no number of frames" if args.every == 0 else "is about streams of audio"
        raise ConfigError(f"--every {args.every}", problem, hint="--input audio --every 32")
    every = REPEAT_EVERY if args.repeat_every is None else args.repeat_every
    return RunRequest(tuple(args.port), every, args.resume, args.random_blocks)


def _layer_request(args: argparse.Namespace) -> LayerRequest | None:
    """What the options ask about layers.

    Raises:
        ConfigError: A sample is named, and nothing is asked about it.
    """
    from mcu_ser.errors import ConfigError
    from mcu_ser.verify.layers import LayerRequest

    if args.bisect or args.profile:
        return LayerRequest(sample=args.sample, profile=args.profile)
    if args.sample is not None:
        raise ConfigError("--sample", "names the sample of --bisect or --profile", hint="one of them with it")
    return None


def _certify(output: Output, args: argparse.Namespace, project: Project, samples: Samples) -> Project:
    from mcu_ser.verify.certify import CERTIFICATE_NAME, certify

    before, port = project.manifest, next(iter(args.port), None)
    adopted, certificate = certify(project, samples.x, args.out, port=port, track=output.track)
    output.say(
        f"arena: {certificate.arena_bytes} B certified on {project.board.id} in {len(certificate.trials)} "
        f"trials, {before.arena_bytes} B {before.arena_basis} before"
    )
    if port:
        output.document({"build_id": adopted.build_id, **asdict(certificate)})
        output.wrote(
            args.project,
            args.out / CERTIFICATE_NAME,
            next_command=shell_command("mcu-ser", "flash", args.project, "--port", port),
        )
    return adopted


def _next_command(args: argparse.Namespace, project: Project, report: Report) -> str:
    """What usually follows: other boards, or on the way to the cause of a failure."""
    from mcu_ser.verify.layers import generate_with_layers

    document = report.document
    layers_right = document["layers"] is None or document["layers"]["problem"] is None
    # Nothing is computed wrong, so no layer is to be looked for: it passed, or it is over a limit.
    right = document["identical"] == document["samples"] and layers_right
    # Or the layers are known already: to generate with --layers would end here again.
    if right or document["layers"] is not None:
        return shell_command("mcu-ser", "inspect", args.project / "model.tflite", "--board", "all")
    if project.manifest.layers:
        samples: tuple[object, ...]
        samples = ("--samples", args.samples) if args.samples else ("--random", args.random)
        if args.input != "features":
            samples = (*samples, "--input", args.input)
        seed = () if args.samples or args.seed == 1 else ("--seed", args.seed)
        port = ("--port", args.port[0]) if args.port else ()
        return shell_command(
            "mcu-ser", "verify", args.project, *samples, *seed, *port, "--bisect", "--out", args.out
        )
    return generate_with_layers(project)


def show_report(output: Output, report: Report) -> None:
    """The report as a table for people."""
    from rich.table import Table

    from mcu_ser.cli.layer_table import show_layers

    document = report.document
    title = f"{document['board']}, engine {document['engine']}, {document['samples_origin']}"
    table = Table(title=title, title_justify="left", show_header=False)
    for name, text in _rows(document):
        table.add_row(name, text)
    output.table(table)
    if document["device"]["confusion"] is not None:
        output.table(_confusion(document))
    if document["layers"] is not None:
        show_layers(output, document)
    if document["changed_files"]:
        output.say(f"note: changed since it was generated: {', '.join(document['changed_files'])}")
    output.say(f"verdict: {document['verdict']} ({document['reason']})")


def _rows(document: dict[str, Any]) -> list[tuple[str, str]]:
    rows = _features(document)
    samples = counted(document["samples"], "sample")
    rows.append(("identical to the oracle", f"{document['identical']} of {samples}"))
    if document["host"]["uar"] is not None:
        rows += [
            (f"{name} UAR, accuracy", f"{document[name]['uar']:.4f}, {document[name]['accuracy']:.4f}")
            for name in ("host", "device")
        ]
    litert = document["litert"]
    if litert is not None:
        differing = litert["samples_differing_from_oracle"]
        differ = "differs" if differing == 1 else "differ"
        rows.append(("LiteRT, for information", f"{counted(differing, 'sample')} {differ} from the oracle"))
    rows.append(_duration(document))
    rows += [(kind, _used(document, kind)) for kind in ("flash", "ram")]
    if document["stack_high_water_bytes"]:
        rows.append(("stack used", f"{document['stack_high_water_bytes']} B"))
    rows += _boards(document)
    link = document["link"]
    frames = f"{link['frames']} frames, {link['retries']} repeated, {link['bytes_per_s']:.0f} B/s"
    return [*rows, ("link", frames), ("inputs and outputs", _payload(link))]


def _payload(link: dict[str, Any]) -> str:
    speed = f"{link['payload_bytes_per_s']:.0f} B/s"
    if link["busy_fraction"] is None:
        return speed
    carried = 100 * link["payload_bytes_per_s"] / link["capacity_bytes_per_s"]
    return (
        f"{speed}, {carried:.0f} % of the line; it was in use {100 * link['busy_fraction']:.0f} % of the time"
    )


def _features(document: dict[str, Any]) -> list[tuple[str, str]]:
    """What the board made of audio, and what its front end takes."""
    from mcu_ser.report.audio import audio_facts, front_end_facts

    needs = [(f"front end, told: {name}", figure) for name, figure in front_end_facts(document)]
    return [*audio_facts(document), *needs]


def _boards(document: dict[str, Any]) -> list[tuple[str, str]]:
    rows = []
    repeats = document["repeats"]
    if repeats is not None and repeats["samples"]:
        across = f", {repeats['across_boards']} by two boards" if len(document["boards"]) > 1 else ""
        rows.append(("run twice, same bytes", counted(repeats["samples"], "sample") + across))
    if len(document["boards"]) > 1:
        for board in document["boards"]:
            lost = f"; lost: {board['lost']}" if board["lost"] else ""
            rows.append((board["port"] or "started here", counted(board["samples"], "sample") + lost))
    return rows


def _duration(document: dict[str, Any]) -> tuple[str, str]:
    counted = document["instructions"]["median"] is not None
    ticks = document["instructions" if counted else "ticks"]
    what = "instructions" if counted else f"{document['ticks']['source']} ticks"
    if ticks["median"] is None:
        return f"{what} per inference", "not measured"
    spread = " / ".join(f"{ticks[key]:,}" for key in ("min", "median", "max"))
    return f"{what} per inference, min / median / max", spread


def _used(document: dict[str, Any], kind: str) -> str:
    used, limit = document[f"{kind}_bytes"], document[f"{kind}_limit_bytes"]
    return f"{used} B" if limit is None else f"{used} of {limit} B ({100 * used / limit:.1f} %)"


def _confusion(document: dict[str, Any]) -> Any:
    from rich.table import Table

    matrix = document["device"]["confusion"]
    labels = document["labels"] or [f"class {index}" for index in range(len(matrix))]
    table = Table(title="device: true class (rows) against predicted class", title_justify="left")
    table.add_column("")
    for label in labels:
        table.add_column(label, justify="right", overflow="fold")
    table.add_column("recall", justify="right")
    for label, row, recall in zip(labels, matrix, document["device"]["recalls"], strict=True):
        table.add_row(label, *map(str, row), "" if recall is None else f"{recall:.3f}")
    return table
