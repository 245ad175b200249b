# SPDX-License-Identifier: Apache-2.0
"""tools/family_models.py: models that a chip holds, and that tell inputs apart."""

from importlib.util import find_spec

import numpy as np
import pytest

if find_spec("tensorflow") is None:
    pytest.skip("needs the [train] extra", allow_module_level=True)

from mcu_ser.aot.compile import compile_model
from mcu_ser.convert.oracle import Oracle
from tools.family_models import CLASSES, FAMILIES, family_model, main

pytestmark = pytest.mark.train


@pytest.mark.parametrize("name", FAMILIES)
def test_a_board_holds_it_and_its_answers_depend_on_its_input(name) -> None:
    content = family_model(FAMILIES[name])
    model = compile_model(content, name)
    assert model.output.shape == (1, CLASSES)
    assert model.arena_bytes < 110_000
    oracle = Oracle(content, name)
    noise = np.random.default_rng(3).integers(-128, 128, (8, *oracle.input_shape[1:]), np.int8)
    assert len(np.unique(oracle.run(noise), axis=0)) == 8


def test_the_same_file_every_time(tmp_path, monkeypatch, capsys) -> None:
    for attempt in ("a", "b"):
        monkeypatch.setattr("sys.argv", ["family_models.py", str(tmp_path / attempt), "--family", "resnet9"])
        assert main() == 0
    assert "resnet9.tflite" in capsys.readouterr().out
    first, second = (tmp_path / attempt / "resnet9.tflite" for attempt in ("a", "b"))
    assert first.read_bytes() == second.read_bytes()
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["resnet9.tflite"]
