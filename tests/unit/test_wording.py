# SPDX-License-Identifier: Apache-2.0
"""One of a thing is not said as many."""

import copy

from mcu_ser.aot.compile import TensorSpec
from mcu_ser.cli.verify import _rows
from mcu_ser.report.sections import headline_facts
from mcu_ser.verify.samples import random_samples
from mcu_ser.wording import counted
from tests.unit.test_report_page import REPORTS


def test_one_and_any_other_number():
    assert [counted(n, "sample") for n in (0, 1, 2)] == ["0 samples", "1 sample", "2 samples"]
    spec = TensorSpec("x", (1, 4), 1.0, 0, 4)
    assert random_samples(1, 5, spec).origin == "1 random sample, seed 5"
    assert random_samples(2, 5, spec).origin == "2 random samples, seed 5"


def test_a_run_of_one_sample():
    document = copy.deepcopy(dict(REPORTS["passing"].document))
    document |= {"samples": 1, "identical": 1, "litert": {"samples_differing_from_oracle": 1}}
    document["link"] |= {"payload_bytes_per_s": 1.0, "busy_fraction": None}
    rows = dict(_rows(document))
    assert rows["identical to the oracle"] == "1 of 1 sample"
    assert rows["LiteRT, for information"] == "1 sample differs from the oracle"
    assert dict(headline_facts(document))["equal to the oracle"] == "1 of 1 sample"
