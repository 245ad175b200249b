# SPDX-License-Identifier: Apache-2.0
"""The one Jinja environment of the generator: unknown names are errors, blocks leave no blank lines.

Templates only print. They may loop and choose; numbers reach them as finished text.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

from jinja2 import Environment, StrictUndefined, Template, TemplateError

from mcu_ser.errors import ConfigError

_ENVIRONMENT = Environment(
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
    autoescape=False,
)


def render(text: str, context: Mapping[str, Any], name: str) -> str:
    """`text` with the values of `context`; `name` is the template's, for errors.

    Raises:
        ConfigError: The template is malformed or uses a name that `context` lacks.
    """
    try:
        return _compiled(text).render(context)
    except TemplateError as error:
        raise ConfigError(f"template {name}", str(error)) from error


@functools.lru_cache(maxsize=256)
def _compiled(text: str) -> Template:
    """Compiling takes longer than rendering; who makes several projects compiles each template once."""
    return _ENVIRONMENT.from_string(text)
