# SPDX-License-Identifier: Apache-2.0
"""The client with boards that take packed inputs, and with those that do not."""

import numpy as np
import pytest

from mcu_ser.errors import LinkError
from mcu_ser.verify.client import Client
from mcu_ser.verify.patience import Patience
from mcu_ser.verify.protocol import ErrorCode, MessageType
from tests.lossy_link import PretendBoard, ScriptedLink, refusal
from tests.native_firmware import TestModel

MODEL = TestModel(input_bytes=1100, output_bytes=9)
SMOOTH = bytes(i // 7 & 0x7F for i in range(1100))


def talking_to(changes=None, *, features=1, packs=True):
    link = ScriptedLink(PretendBoard(MODEL, changes, features=features))
    client = Client(link, Patience(hello_s=0.3, answer_s=0.3, inference_s=0.3), packs=packs)
    client.hello()
    return client, link


@pytest.mark.parametrize(
    ("features", "packs", "kind"),
    [
        (0, True, MessageType.INPUT),
        (1, False, MessageType.INPUT),
        (1, True, MessageType.INPUT_PACKED),
        (0xFFFF_FFFF, True, MessageType.INPUT_PACKED),
    ],
)
def test_inputs_are_packed_for_a_board_that_says_that_it_takes_them(features, packs, kind):
    client, link = talking_to(features=features, packs=packs)
    assert client.run(5, SMOOTH).output == MODEL.expected_output(SMOOTH)
    assert [frame.type for frame in link.requests[1:4]] == [kind] * 3


def test_frames_that_would_not_get_shorter_travel_as_they_are_between_packed_ones():
    noise = np.random.default_rng(1).bytes(508)
    data = SMOOTH[:508] + noise + SMOOTH[1016:]
    client, link = talking_to()
    assert client.run(5, data).output == MODEL.expected_output(data)
    kinds = [frame.type for frame in link.requests[1:4]]
    assert kinds == [MessageType.INPUT_PACKED, MessageType.INPUT, MessageType.INPUT_PACKED]


def test_a_refused_packed_input_is_an_error():
    client, _ = talking_to(
        {MessageType.INPUT_PACKED: lambda board, frame: [refusal(frame, ErrorCode.BAD_LENGTH, 5)]}
    )
    with pytest.raises(LinkError, match=r"INPUT_PACKED refused with BAD_LENGTH \(detail 0x5\)"):
        client.run(0, SMOOTH)
