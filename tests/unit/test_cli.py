# SPDX-License-Identifier: Apache-2.0
import argparse
import json
import logging
import subprocess
import sys

import pytest

from mcu_ser.cli import main as cli
from mcu_ser.errors import BudgetError, ConfigError, DeviceFaultError, ToolMissingError

HEAVY = ("tensorflow", "tf_keras", "numpy", "pydantic", "jinja2", "rich", "serial", "tflite", "tflite_micro")


def test_the_parser_imports_nothing_heavy():
    code = (
        "import sys; from mcu_ser.cli.main import build_parser; build_parser(); "
        f"print([name for name in {HEAVY} if name in sys.modules])"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert answer.stdout.strip() == "[]"


def test_help_names_every_command(capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(["--help"])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    assert all(f"    {name} " in text for name in cli.COMMANDS)


@pytest.mark.parametrize("command", cli.COMMANDS)
def test_every_command_has_help(command, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main([command, "--help"])
    assert stop.value.code == 0
    assert "usage: mcu-ser " + command in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [[], ["no-such-command"], ["verify"], ["run", "--no-such-option"]])
def test_wrong_usage_exits_with_2(arguments, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(arguments)
    assert stop.value.code == 2
    assert "usage: mcu-ser" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (BudgetError("board", "too small"), 1),
        (ConfigError("recipe", "unknown key"), 2),
        (ToolMissingError("cmake", "not found", hint="apt-get install cmake"), 3),
        (DeviceFaultError("port", "crashed"), 4),
    ],
)
def test_an_error_is_one_line_and_an_exit_code(monkeypatch, capsys, error, code):
    def fail(args: argparse.Namespace) -> int:
        raise error

    monkeypatch.setattr("mcu_ser.cli.doctor.run", fail)
    monkeypatch.setattr(logging, "basicConfig", lambda **options: None)
    assert cli.main(["doctor"]) == code
    assert capsys.readouterr().err == f"mcu-ser: error: {error}\n"


def test_the_exit_codes_are_in_the_help(capsys):
    with pytest.raises(SystemExit):
        cli.main(["--help"])
    assert "130 interrupted (Ctrl-C)" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("error", "document"),
    [
        (
            BudgetError("board", "too small", limit="3 B", hint="a board"),
            {
                "message": "board: too small, limit 3 B; try: a board",
                "exit_code": 1,
                "subject": "board",
                "problem": "too small",
                "limit": "3 B",
                "hint": "a board",
            },
        ),
        (DeviceFaultError("port", "crashed"), {"exit_code": 4, "limit": None, "hint": None}),
        (OSError(28, "No space left on device", "out"), {"message": "out: No space left on device"}),
        (KeyboardInterrupt(), {"message": "interrupted; what was finished is kept", "exit_code": 130}),
        (KeyboardInterrupt("4 are kept"), {"message": "interrupted; 4 are kept", "subject": None}),
    ],
    ids=repr,
)
def test_with_json_an_error_is_a_document(monkeypatch, capsys, error, document):
    def fail(args: argparse.Namespace) -> int:
        raise error

    monkeypatch.setattr("mcu_ser.cli.doctor.run", fail)
    code = cli.main(["doctor", "--json"])
    captured = capsys.readouterr()
    found = json.loads(captured.out)["error"]
    assert found | document == found
    assert found["exit_code"] == code
    assert captured.err == f"mcu-ser: error: {found['message']}\n"


def test_with_json_wrong_usage_is_a_document(capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(["doctor", "--json", "--no-such-option"])
    assert stop.value.code == 2
    captured = capsys.readouterr()
    error = json.loads(captured.out)["error"]
    assert (error["exit_code"], error["message"]) == (2, "unrecognized arguments: --no-such-option")
    assert "usage: mcu-ser" in captured.err


def test_without_json_an_error_prints_nothing_on_stdout(capsys):
    with pytest.raises(SystemExit):
        cli.main(["doctor", "--no-such-option"])
    assert cli.main(["boards", "show", "no-such-board"]) == 2
    assert capsys.readouterr().out == ""


def test_debug_shows_a_traceback_and_keeps_the_exit_code(monkeypatch, capsys):
    def fail(args: argparse.Namespace) -> int:
        raise ConfigError("recipe", "unknown key")

    monkeypatch.setattr("mcu_ser.cli.doctor.run", fail)
    monkeypatch.setattr(logging, "basicConfig", lambda **options: None)
    assert cli.main(["doctor", "--debug"]) == 2
    error = capsys.readouterr().err
    assert "Traceback" in error
    assert error.endswith("mcu-ser: error: recipe: unknown key\n")


def test_an_unforeseen_error_of_the_file_system_is_one_line(monkeypatch, capsys):
    def fail(args: argparse.Namespace) -> int:
        raise OSError(28, "No space left on device", "/somewhere/report.json")

    monkeypatch.setattr("mcu_ser.cli.doctor.run", fail)
    assert cli.main(["doctor"]) == 2
    assert capsys.readouterr().err == "mcu-ser: error: /somewhere/report.json: No space left on device\n"


def test_a_reader_that_goes_away_is_no_error():
    command = (
        f"{sys.executable} -m mcu_ser.cli.main boards show netduinoplus2 | head -n 1; echo ${{PIPESTATUS[0]}}"
    )
    answer = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60, check=True)
    assert "Traceback" not in answer.stderr
    assert answer.stdout.splitlines()[-1] in {"0", "141"}
