# SPDX-License-Identifier: Apache-2.0
"""Limits of the house style that no linter has: what is too long to be read at once must be split."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODULES = sorted((ROOT / "mcu_ser").rglob("*.py")) + sorted((ROOT / "tools").glob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))
C_FILES = sorted((ROOT / "firmware_templates").rglob("*.[ch]"))

MODULE_LINES = 400
FUNCTION_LINES = 40


def code_lines(function):
    """Lines of a function without its docstring: documentation is not what makes it long."""
    has_docstring = ast.get_docstring(function, clean=False) is not None
    docstring = function.body[0] if has_docstring else None
    length = function.end_lineno - function.lineno + 1
    return length - (docstring.end_lineno - docstring.lineno + 1 if docstring else 0)


@pytest.mark.parametrize(
    "path", MODULES + TESTS + C_FILES, ids=lambda path: path.relative_to(ROOT).as_posix()
)
def test_no_module_is_too_long(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MODULE_LINES


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_function_is_too_long(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    functions = [node for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]
    long = {f.name: code_lines(f) for f in functions if code_lines(f) > FUNCTION_LINES}
    assert not long


@pytest.mark.parametrize("path", MODULES + C_FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_source_file_names_its_licence(path):
    first = path.read_text(encoding="utf-8").partition("\n")[0]
    assert "SPDX-License-Identifier: Apache-2.0" in first or not path.read_text(encoding="utf-8")
