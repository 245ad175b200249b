# SPDX-License-Identifier: Apache-2.0
"""The rules that blame the oracle: it really refuses these models, or ends its process."""

import subprocess
import sys

import pytest

from mcu_ser.aot.compile import compile_model
from mcu_ser.errors import ModelError
from tests.plain_layers import VALID, add, bias, conv, layer, matrix, pad, pool, probability, softmax, weights
from tests.plain_lstm import BROKEN as BROKEN_LSTMS
from tests.plain_lstm import REVERSALS, lstm

# Runs the model on zeros and prints "ran"; a model that ends the process must not end the test's.
_PROGRAM = """
import sys
import numpy as np
from tflite_micro import runtime
oracle = runtime.Interpreter.from_bytes(sys.stdin.buffer.read(), arena_size=1 << 20)
oracle.set_input(np.zeros(oracle.get_input_details(0)["shape"], np.int8), 0)
oracle.invoke()
print("ran")
"""

# The oracle runs the others all the same: it ignores scales per cell, the function of a gate and diagonals,
# and wraps around where sums leave int32.
_LSTMS = (
    "an LSTM of 20 operands",
    "an LSTM without input",
    "an LSTM without a gate's weights",
    "an LSTM of coupled gates",
    "an LSTM without a bias",
    "an LSTM without a cell state",
    "an LSTM with peepholes",
    "an LSTM with a projection",
    "an LSTM with normalised gates",
    "an LSTM from 16 bits to 8",
    "an LSTM with weights of 16 bits",
    "an LSTM with biases of 64 bits",
    "an LSTM with an output state of 16 bits",
    "an LSTM with a cell state of 8 bits",
    "an LSTM with weights that are computed",
    "an LSTM with a constant for a state",
    "an LSTM of time before the batch",
    "an LSTM of one step",
    "an LSTM that loses a step",
    "an LSTM with weights for other inputs",
    "an LSTM with too few biases",
    "an LSTM with a state of too few cells",
)

REFUSED = {
    "a bias of another scale": matrix(constants=[weights((3, 4)), bias(3, scale=0.6)]),
    "a pool that changes the scale": pool(y={"scale": 0.5}),
    "a pool that changes the zero point": pool(y={"zero_point": 1}),
    "an addition that scales up": add(y={"scale": 2.0**-20}),
    "a subtraction that scales up": add("SUB", y={"scale": 2.0**-20}),
    "a pad value of another scale": pad(opcode="PADV2", value={"scale": 0.5}),
    "a hard-swish that scales up": layer("HARD_SWISH", y={"scale": 2.0**-7}),
    "a logistic of another zero point": probability(y={"zero_point": 0}),
    "a softmax of another output": softmax(y={"zero_point": 0}),
    "a softmax of a tiny scale": softmax(x={"scale": 2.0**-27}),
    "a softmax of 512 classes": softmax(x={"shape": (1, 512)}, y={"shape": (1, 512)}),
    "an absent bias of a depthwise convolution": conv("DEPTHWISE_CONV_2D", inputs=[0, 1, -1]),
    **{name: BROKEN_LSTMS[name][0] for name in _LSTMS},
    "a reversal of dimensions apart": REVERSALS["a reversal of dimensions apart"][0],
}
ACCEPTED = {
    "a plain softmax": VALID["SOFTMAX"],
    "a softmax of 511 classes": softmax(x={"shape": (1, 511)}, y={"shape": (1, 511)}),
    "a plain LSTM": lstm(),
    "an LSTM whose output is said to be of another scale": lstm(y={"scale": 0.1, "zero_point": 7}),
    "an absent bias of a convolution": conv(inputs=[0, 1, -1]),
    "a bias 2 % off": matrix(y={"scale": 2.0}, constants=[weights((3, 4)), bias(3, scale=0.5390625)]),
}


def _runs(file: bytes) -> bool:
    program = [sys.executable, "-c", _PROGRAM]
    done = subprocess.run(program, input=file, capture_output=True, timeout=60, check=False)
    return done.stdout == b"ran\n"


@pytest.mark.parametrize("name", REFUSED)
def test_the_oracle_does_not_run_what_the_rules_refuse(name):
    with pytest.raises(ModelError):
        compile_model(REFUSED[name])
    assert not _runs(REFUSED[name])


@pytest.mark.parametrize("name", ACCEPTED)
def test_the_oracle_runs_what_the_rules_accept(name):
    compile_model(ACCEPTED[name])
    assert _runs(ACCEPTED[name])
