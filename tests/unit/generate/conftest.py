# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

import pytest

from tests.tiny_model import tiny_classifier


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "my model.tflite"
    path.write_bytes(tiny_classifier())
    return path
