# SPDX-License-Identifier: Apache-2.0
"""The firmware's server, compiled for the host with sanitizers."""

import pytest

from mcu_ser.device.host_process import HostProcess
from mcu_ser.device.link import Link
from mcu_ser.verify.protocol import MessageType
from tests.c.hearing_firmware import HEARING, OBEYS
from tests.c.server_line import MODEL, Line, hello
from tests.native_firmware import build_native_firmware


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    return build_native_firmware(tmp_path_factory.mktemp("server"), MODEL)


@pytest.fixture(scope="module")
def hearing_program(tmp_path_factory):
    return build_native_firmware(tmp_path_factory.mktemp("hearing"), HEARING, defines=OBEYS)


@pytest.fixture
def line(program):
    """A device that has just started; its BOOT is read."""
    with HostProcess(program) as device, Link(device) as link:
        line = Line(link)
        assert line.receive().type == MessageType.BOOT
        yield line


@pytest.fixture
def session(line):
    """The line in an open session; the next seq is 1."""
    assert line.ask(hello()).type == MessageType.HELLO_ANSWER
    return line
