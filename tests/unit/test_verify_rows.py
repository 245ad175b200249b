# SPDX-License-Identifier: Apache-2.0
import pytest

from mcu_ser.cli.verify import _payload


@pytest.mark.parametrize(
    ("capacity", "busy", "text"),
    [
        (None, None, "14744 B/s"),
        (11520.0, 0.933, "14744 B/s, 128 % of the line; it was in use 93 % of the time"),
    ],
)
def test_the_use_of_a_line_that_has_a_rate(capacity, busy, text):
    link = {"payload_bytes_per_s": 14744.2, "capacity_bytes_per_s": capacity, "busy_fraction": busy}
    assert _payload(link) == text
