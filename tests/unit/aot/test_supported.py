# SPDX-License-Identifier: Apache-2.0
from collections.abc import Callable

import pytest

from mcu_ser.aot import int16_rules
from mcu_ser.aot.compile import compile_model
from mcu_ser.aot.supported import RULES, operator_table
from mcu_ser.errors import ModelError
from tests import plain_int16, plain_layers, plain_lstm, plain_moves, plain_products
from tests.broken_layers import BROKEN

VALID = plain_layers.VALID | plain_lstm.VALID | plain_moves.VALID | plain_products.VALID


def _refusal(file) -> str:
    with pytest.raises(ModelError) as caught:
        compile_model(file, "m.tflite")
    return str(caught.value)


@pytest.mark.parametrize("opcode", sorted(RULES))
def test_a_plain_layer_is_supported(opcode):
    assert compile_model(VALID[opcode]).layers[-1].operator == opcode


@pytest.mark.parametrize("opcode", sorted(int16_rules.RULES))
def test_a_plain_layer_of_16_bits_is_supported(opcode):
    compiled = compile_model(plain_int16.VALID[opcode])
    assert compiled.layers[-1].operator == opcode
    assert compiled.output.dtype == "INT16"
    assert compiled.output.bytes == 2 * compiled.graph.tensors[compiled.graph.outputs[0]].elements


@pytest.mark.parametrize("name", sorted(BROKEN))
def test_a_broken_rule_is_the_error(name):
    file, reason = BROKEN[name]
    text = _refusal(file)
    assert text.startswith("m.tflite: has 1 layer that the engine does not support:\n  layer 0, ")
    assert text.endswith(f" (out): {reason}")


def test_every_rule_is_broken_by_a_case():
    reasons = [reason for _, reason in BROKEN.values()]
    chains = [*RULES.values(), *int16_rules.RULES.values()]
    rules: dict[str, Callable] = {rule.__name__: rule for chain in chains for rule in chain}
    for name, rule in rules.items():
        text = rule.__doc__.strip().rstrip(".")
        assert any(reason.startswith(text[0].lower() + text[1:]) for reason in reasons), name


def test_the_operator_table_has_every_operator_and_rule():
    table = operator_table()
    assert [line.split(" | ")[0] for line in table.splitlines()[2:]] == [
        *(f"| {opcode}" for opcode in sorted(RULES)),
        "| all but ARG_MAX",
        *(f"| {opcode}, INT16" for opcode in sorted(int16_rules.RULES)),
    ]
    for chain in [*RULES.values(), *int16_rules.RULES.values()]:
        for rule in chain:
            text = rule.__doc__.strip().rstrip(".")
            assert text[0].lower() + text[1:] in table
