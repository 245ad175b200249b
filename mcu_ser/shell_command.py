# SPDX-License-Identifier: Apache-2.0
"""Commands in messages, written so that they can be pasted into a shell."""

from __future__ import annotations


def shell_command(*words: object) -> str:
    """The words as one command line, quoted where their content needs it (spaces, brackets, umlauts)."""
    import shlex

    return shlex.join([str(word) for word in words])
