# SPDX-License-Identifier: Apache-2.0
"""`mcu-ser listen`: what a board hears and decides, live."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mcu_ser.cli.console import Output
from mcu_ser.shell_command import shell_command

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from mcu_ser.device.device import Device
    from mcu_ser.features.front_end import FrontEnd
    from mcu_ser.generate.project import Project
    from mcu_ser.listen.record import Recorder
    from mcu_ser.listen.session import Heard, ListenRequest, ListenSession
    from mcu_ser.listen.show import Scale
    from mcu_ser.verify.listen_client import Decision, ListenClient, ListenWindow

    Show = Callable[["Decision"], None]


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> argparse.ArgumentParser:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "listen",
        help="live scores of a board that hears",
        description="Have a board listen, to its microphone or to a recording that is played to it, and show "
        "what it decides. Firmware of mcu-ser generate --front-end.",
    )
    parser.add_argument(
        "project", type=Path, nargs="?", metavar="PROJECT", help="firmware project; not needed with --port"
    )
    parser.add_argument("--port", metavar="URL", help="port of a board that is already running")
    parser.add_argument("--wav", type=Path, metavar="FILE", help="play this in place of a microphone")
    parser.add_argument(
        "--speed",
        choices=("real-time", "full"),
        default="real-time",
        help="of --wav: as a microphone would, or as fast as the board takes it (default: real-time)",
    )
    _add_numbers(parser)
    parser.add_argument("--labels", metavar="A,B,...", help="names of the classes, in the model's order")
    parser.add_argument(
        "--record", type=Path, metavar="DIR", help="keep what the board heard (wav) and decided (JSON lines)"
    )
    parser.add_argument(
        "--json", action="store_true", help="print a JSON document per decision, one a line, and a summary"
    )
    return parser


def _add_numbers(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--period",
        type=_number(int, 1, 65535),
        default=16,
        metavar="HOPS",
        help="hops from one decision to the next (default: 16)",
    )
    parser.add_argument(
        "--gate-dbfs",
        type=_number(float, -200, 0),
        default=-60.0,
        metavar="DB",
        help="a hop of this level or more is loud, 0 is a full-scale square wave (default: -60)",
    )
    parser.add_argument(
        "--gate-hops",
        type=_number(int, 0, 65535),
        default=8,
        metavar="N",
        help="run the model when so many hops of its map are loud; 0: always (default: 8)",
    )
    parser.add_argument(
        "--seconds", type=_number(float, 0.001, 1e9), metavar="N", help="stop after so long (default: Ctrl-C)"
    )


def run(args: argparse.Namespace) -> int:
    """Run the command; returns 0, or 1 if the board's features are not those of the host."""
    from mcu_ser.device.link import Link
    from mcu_ser.generate.project import Project
    from mcu_ser.listen.record import Recorder
    from mcu_ser.verify.listen_client import ListenClient

    output = Output(as_json=args.json)
    project = None if args.project is None else Project.load(args.project)
    front_end = _front_end(project, args)
    request = _request(args)
    recorder = None if args.record is None else Recorder(args.record)
    with _device(project, args.port) as device, Link(device) as link:
        client = ListenClient(link)
        heard, window = _listen(client, project, args, request, recorder, output)
    if front_end is not None:
        _compare(heard, request, recorder, front_end)
    _say_what_was_heard(output, heard, window, recorder, as_json=args.json)
    output.wrote(*(recorder.write() if recorder else ()), next_command=_next(args))
    return int(heard.wrong > 0)


def _listen(
    client: ListenClient,
    project: Project | None,
    args: argparse.Namespace,
    request: ListenRequest,
    recorder: Recorder | None,
    output: Output,
) -> tuple[Heard, ListenWindow]:
    """The whole conversation; what was recorded is kept even if the board dies in the middle."""
    from mcu_ser.errors import DeviceError
    from mcu_ser.listen.session import ListenSession
    from mcu_ser.listen.show import Scale

    hello = client.hello()
    if project is not None:
        _require_build(client.url, hello.build_id, project)
    scale = Scale.of_hello(hello, _labels(args.labels, hello.output_bytes))
    with _ctrl_c() as stopped:
        session = ListenSession(client, request, stopped=stopped)
        try:
            _follow(session, scale, recorder, output, as_json=args.json)
        except DeviceError:
            _note_played(recorder, request, session.heard)
            if recorder is not None and session.heard.decisions:
                output.wrote(*recorder.write())
            raise
    _note_played(recorder, request, session.heard)
    return session.heard, session.window


def _compare(heard: Heard, request: ListenRequest, recorder: Recorder | None, front_end: FrontEnd) -> None:
    """Hold the board's features against the host's, where all is known that the board heard."""
    if request.pcm is not None:
        heard.compare(request.pcm, front_end, request)
    elif recorder is not None and not recorder.gap_samples:
        heard.compare(recorder.pcm, front_end, request)


def _note_played(recorder: Recorder | None, request: ListenRequest, heard: Heard) -> None:
    if recorder is not None and request.pcm is not None:
        recorder.played(request.pcm[: heard.played_samples].astype("<i2").tobytes())


@contextmanager
def _ctrl_c() -> Iterator[Callable[[], bool]]:
    """Whether Ctrl-C was pressed: it is no error here, and breaks off nothing. The second time it is both."""
    import signal

    pressed = False

    def note(number: int, frame: object) -> None:
        nonlocal pressed
        pressed = True
        signal.signal(signal.SIGINT, signal.default_int_handler)

    before = signal.signal(signal.SIGINT, note)
    try:
        yield lambda: pressed
    finally:
        signal.signal(signal.SIGINT, before)


def _follow(
    session: ListenSession, scale: Scale, recorder: Recorder | None, output: Output, *, as_json: bool
) -> None:
    """Show and record what comes."""
    from mcu_ser.listen import show
    from mcu_ser.verify.listen_client import Sound

    with _display(session.window, scale, output, as_json=as_json) as display:
        for one in session.run():
            if isinstance(one, Sound):
                if recorder is not None:
                    recorder.sound(one)
                continue
            if recorder is not None:
                recorder.decision(show.document(one, session.window, scale))
            display(one)


@contextmanager
def _display(window: ListenWindow, scale: Scale, output: Output, *, as_json: bool) -> Iterator[Show]:
    """Shows decisions: JSON lines, bars on a terminal, or plain lines."""
    from mcu_ser.listen import show

    if as_json:
        yield lambda decision: _print_line(_json_line(show.document(decision, window, scale)))
    elif not sys.stdout.isatty():
        yield lambda decision: _print_line(show.line(decision, window, scale))
    else:
        from rich.live import Live

        with Live(console=output.console, auto_refresh=False) as live:
            yield lambda decision: live.update(show.picture(decision, window, scale), refresh=True)


def _print_line(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()  # whoever reads from a pipe wants it now


def _json_line(document: dict[str, Any]) -> str:
    import json

    return json.dumps(document, sort_keys=True)


def _front_end(project: Project | None, args: argparse.Namespace) -> FrontEnd | None:
    """That of the project, to compare with; None without a project.

    Raises:
        ConfigError: There is nothing to listen to or with.
    """
    from mcu_ser.errors import ConfigError

    if project is None:
        if args.port is None:
            raise ConfigError("listen", "has neither a PROJECT nor a --port", hint="mcu-ser listen --help")
        return None
    if project.front_end_path is None:
        raise ConfigError(
            project.root, "is firmware without a front end", hint="mcu-ser generate with --front-end"
        )
    if args.wav is None and project.board.microphone is None:
        hint = "--wav FILE, which plays a recording to it"
        raise ConfigError(project.board.id, "has no microphone", hint=hint)
    from mcu_ser.features.front_end import FrontEnd

    return FrontEnd.load(project.front_end_path)


def _request(args: argparse.Namespace) -> ListenRequest:
    from mcu_ser.features.listening import Gate
    from mcu_ser.listen.session import ListenRequest
    from mcu_ser.listen.wav import read_recording

    return ListenRequest(
        period=args.period,
        gate=Gate.of_level(args.gate_dbfs, args.gate_hops),
        pcm=None if args.wav is None else read_recording(args.wav),
        real_time=args.speed == "real-time",
        seconds=args.seconds,
        send_sound=args.record is not None and args.wav is None,
    )


def _device(project: Project | None, port: str | None) -> AbstractContextManager[Device | str]:
    if project is None:
        assert port is not None
        return nullcontext(port)
    from mcu_ser.device.start import open_device

    return open_device(project, port)


def _require_build(url: str, build_id: str, project: Project) -> None:
    from mcu_ser.errors import MismatchError

    if build_id != project.build_id:
        problem = f"runs build {build_id}, the project is {project.build_id}"
        raise MismatchError(url, problem, hint=shell_command("mcu-ser", "flash", project.root))


def _labels(text: str | None, classes: int) -> list[str] | None:
    from mcu_ser.errors import ConfigError

    if text is None:
        return None
    labels = [label.strip() for label in text.split(",")]
    if len(labels) != classes or not all(labels):
        raise ConfigError("--labels", f"names {len(labels)} classes, the model has {classes}")
    return labels


def _say_what_was_heard(
    output: Output, heard: Heard, window: ListenWindow, recorder: Recorder | None, *, as_json: bool
) -> None:
    seconds = window.seconds(heard.last_rows) if heard.last_rows else 0.0
    output.say(
        f"{heard.decisions} decisions up to {seconds:.2f} s, {heard.voiced} of them on sound; "
        f"{heard.lost_blocks} blocks of the microphone lost, {heard.missing} decisions lost on the line"
    )
    if heard.lost_blocks:
        output.say(
            "LOST BLOCKS: the model takes longer than it has from one decision to the next; "
            "try: a longer --period"
        )
    if as_json:
        summary = asdict(heard)
        summary.pop("features")
        _print_line(_json_line({"summary": summary}))
    if recorder is not None and recorder.gap_samples:
        output.say(f"{recorder.gap_samples} samples of the wav were lost on the line: zeros")
    if heard.wrong:
        output.say(
            f"FEATURES DIFFER: {heard.wrong} of {heard.compared} maps are not the host's, the first ends "
            f"with frame {heard.first_wrong}"
        )
    elif heard.compared:
        output.say(f"features: all {heard.compared} maps are the host's, byte for byte")


def _next(args: argparse.Namespace) -> str | None:
    """Replays what was recorded, if that is possible."""
    if args.record is None or args.project is None:
        return None
    wav = args.record / "heard.wav"
    return shell_command("mcu-ser", "listen", args.project, "--wav", wav, "--speed", "full")


def _number(kind: Callable[[str], Any], low: float, high: float) -> Callable[[str], Any]:
    def parse(text: str) -> Any:
        try:
            value = kind(text)
        except ValueError:
            value = None
        if value is None or not low <= value <= high:
            raise argparse.ArgumentTypeError(f"{text!r} is not a number from {low:g} to {high:g}")
        return value

    return parse
