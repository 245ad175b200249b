# SPDX-License-Identifier: Apache-2.0
"""Damaged files are refused; tools/fuzz_reader.py tries many more of them."""

import random
import time

import pytest

from tests import mutated_models
from tests.mutated_models import damaged, outcome, undamaged

FILES = 2000


@pytest.fixture(scope="module")
def models():
    return undamaged()


def test_a_damaged_file_compiles_or_is_refused(models):
    outcomes = set()
    for seed in range(FILES):
        rng = random.Random(seed)
        outcomes.add(outcome(damaged(models[seed % len(models)], models, rng)))
    assert outcomes >= {"read error", "not supported", "compiled"}


def test_what_is_damaged_was_whole(models):
    assert {outcome(file) for file in models[::10]} == {"compiled"}


def test_damage_is_the_same_for_a_seed(models):
    first, second = (damaged(models[0], models, random.Random(7)) for _ in range(2))
    assert first == second != models[0]


def test_a_reader_that_fails_otherwise_is_noticed(models, monkeypatch):
    def broken(_file):
        raise KeyError("x")

    monkeypatch.setattr(mutated_models, "read_model", broken)
    with pytest.raises(KeyError):
        outcome(models[0])


def test_a_reader_that_hangs_is_noticed(models, monkeypatch):
    monkeypatch.setattr(mutated_models, "SECONDS_PER_FILE", 1)
    monkeypatch.setattr(mutated_models, "read_model", lambda _file: time.sleep(30))
    with pytest.raises(TimeoutError):
        outcome(models[0])
