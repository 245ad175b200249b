# SPDX-License-Identifier: Apache-2.0
"""What approaches and stages are called in reports."""

from __future__ import annotations

APPROACH_NAMES = {
    "speech_only": "speech only",
    "fine_tuning": "fine-tuning",
    "frozen_features": "frozen features",
    "nsl": "NSL graph",
    "nsl_fine_tuning": "NSL graph + fine-tuning",
}
STAGE_NAMES = {
    "float": "float",
    "pruned": "pruned",
    "int8": "int8",
    "post_training": "int8, post-training",
}


def approach_name(approach: str) -> str:
    """The approach for people."""
    return APPROACH_NAMES.get(approach, approach.replace("_", " "))
