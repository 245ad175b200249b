# SPDX-License-Identifier: Apache-2.0
"""The README is part of the product: what it says must be so."""

import re
import shlex
import textwrap
from pathlib import Path

import pytest
import yaml

from mcu_ser.aot.supported import operator_table
from mcu_ser.board import list_boards
from mcu_ser.cli.main import COMMANDS, build_parser
from mcu_ser.recipe import list_recipes, load_recipe, parse_recipe

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
# Commands are what stands in code blocks of no language; a comment ends at the line.
FENCED = re.findall(r"^```(\w*)\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
BLOCKS = [text for language, text in FENCED if not language]
LINES = [line for block in BLOCKS for line in block.splitlines()]


def between(marker):
    return README.partition(f"<!-- {marker}:begin -->\n")[2].partition(f"<!-- {marker}:end -->")[0].strip()


def test_the_operator_table_is_the_rules_that_refuse():
    assert between("operators") == operator_table().strip()


def test_the_summary_of_the_operators_names_those_of_the_table():
    summary = README.partition("<details><summary>")[2].partition(": limits of each</summary>")[0]
    rows = re.findall(r"^\| (\w+) \|", between("operators"), re.MULTILINE)
    assert summary.replace("\n", " ").split(", ") == [name for name in rows if name.isupper()]


def test_its_python_imports_what_it_uses():
    (source,) = (text for language, text in FENCED if language == "python")
    names = {}
    exec(compile(source, "README.md", "exec"), names)
    test = names["test_silence_is_neutral"]
    assert "np" in test.__code__.co_names
    assert names["np"].float32


def test_the_board_table_names_every_board():
    assert set(re.findall(r"^\| `(\w+)` \|", between("boards"), re.MULTILINE)) == {
        board.id for board in list_boards()
    }


def test_the_command_table_names_every_command():
    assert re.findall(r"^\| `([a-z]+)(?: [A-Z]+)*` \|", README, re.MULTILINE)[: len(COMMANDS)] == list(
        COMMANDS
    )


@pytest.mark.parametrize("line", [line for line in LINES if line.startswith("mcu-ser ")])
def test_every_command_line_parses(line):
    build_parser().parse_args(shlex.split(line, comments=True)[1:])


def test_the_commands_of_the_workflow_parse():
    (workflow,) = (yaml.safe_load(text) for language, text in FENCED if language == "yaml")
    steps = workflow["jobs"]["verify"]["steps"]
    commands = [step["run"] for step in steps if step.get("run", "").startswith("mcu-ser ")]
    assert [shlex.split(command)[1] for command in commands] == ["generate", "build", "verify"]
    for command in commands:
        build_parser().parse_args(shlex.split(command)[1:])


@pytest.mark.parametrize("line", [line for line in LINES if line.startswith("bash ")])
def test_every_script_exists(line):
    assert (ROOT / shlex.split(line)[1]).is_file()


def test_it_names_the_shipped_recipes():
    (named,) = re.findall(r"shipped \(([^)]*)\)", README)
    assert sorted(named.replace("`", "").split(", ")) == list_recipes()


def test_its_recipe_changes_the_target_corpus_alone():
    (text,) = (text for language, text in FENCED if language == "toml")
    recipe, base = parse_recipe(text, "mine.toml"), load_recipe("ravdess-emodb")
    assert recipe.corpora.target.manifest == "mine/emotions.csv"
    assert recipe.corpora.source == base.corpora.source
    assert recipe.model_dump(exclude={"name", "corpora"}) == base.model_dump(exclude={"name", "corpora"})


def test_the_help_names_the_shipped_recipes_and_shows_that_of_the_readme(capsys):
    with pytest.raises(SystemExit):
        build_parser().parse_args(["train", "--help"])
    shown = capsys.readouterr().out
    (named,) = re.findall(r"shipped recipe \(([^)]*)\)", " ".join(shown.split()))
    assert sorted(named.split(", ")) == list_recipes()
    (own,) = re.findall(r'^  name = "mine".*?^$', shown, re.MULTILINE | re.DOTALL)
    (text,) = (text for language, text in FENCED if language == "toml")
    assert parse_recipe(textwrap.dedent(own), "help") == parse_recipe(text, "README.md")


def test_every_directory_of_the_layout_exists():
    layout = next(block for block in BLOCKS if block.startswith("mcu_ser/"))
    for line in layout.splitlines():
        assert (ROOT / line.split()[0]).is_dir()
