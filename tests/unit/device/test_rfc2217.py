# SPDX-License-Identifier: Apache-2.0
"""A board on another computer, behind a server that speaks RFC 2217: samples, a lost server, no server."""

import socket
import threading
from contextlib import suppress

import numpy as np
import pytest
import serial
import serial.rfc2217

from mcu_ser.device.host_process import HostProcess
from mcu_ser.device.link import Link
from mcu_ser.errors import LinkError
from mcu_ser.verify.client import Client
from mcu_ser.verify.harness import run_samples
from tests.native_firmware import build_native_firmware
from tests.unit.verify.test_harness import MODEL_SMALL, SHORT, expectation, expected_outputs

# pyserial 3.5 starts its reader in the old way.
pytestmark = [
    pytest.mark.filterwarnings("ignore:setDaemon:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:setName:DeprecationWarning"),
]


class Server:
    """Offers the port at `url` to one RFC 2217 client; a context manager."""

    def __init__(self, url):
        self._port = serial.serial_for_url(url, timeout=0.02)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._client = None
        self.url = f"rfc2217://127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self):
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *error):
        self.hang_up()
        self._listener.close()
        self._thread.join(5)
        self._port.close()

    def hang_up(self):
        if self._client is not None:
            with suppress(OSError):
                self._client.shutdown(socket.SHUT_RDWR)

    def _serve(self):
        with suppress(OSError):
            self._client, _ = self._listener.accept()
            with self._client:
                self._client.settimeout(0.005)
                self._pass_on(serial.rfc2217.PortManager(self._port, self))

    def _pass_on(self, manager):
        while True:
            with suppress(TimeoutError):
                data = self._client.recv(1024)
                if not data:
                    return
                self._port.write(b"".join(manager.filter(data)))
            while self._port.in_waiting:  # 0 or 1
                self.write(b"".join(manager.escape(self._port.read(1))))

    def write(self, data):
        """What the port manager calls to say something itself."""
        self._client.sendall(data)


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    return build_native_firmware(tmp_path_factory.mktemp("rfc2217"), MODEL_SMALL)


def test_samples_run_over_rfc2217(program):
    x = MODEL_SMALL.samples(12)
    x[:, 3] = -1  # 0xff is the telnet escape
    with HostProcess(program) as device, Server(device.url) as server, Link(server.url) as link:
        result = run_samples(Client(link), expectation(MODEL_SMALL), x, repeat_every=4)
    np.testing.assert_array_equal(result.outputs, expected_outputs(x, MODEL_SMALL))
    assert result.repeats.samples == 3


# pyserial 3.5 does not close a socket that it cannot shut down any more.
@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
def test_a_server_that_hangs_up_ends_the_run(program):
    def hang_up(what, total):
        class Once:
            def __enter__(self):
                return lambda count: server.hang_up()

            def __exit__(self, *error):
                pass

        return Once()

    with HostProcess(program) as device, Server(device.url) as server, Link(server.url) as link:
        with pytest.raises(LinkError) as caught:
            run_samples(Client(link, SHORT), expectation(MODEL_SMALL), MODEL_SMALL.samples(4), hang_up)
    assert caught.value.exit_code == 4
    assert server.url in str(caught.value)


def test_nobody_listens():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"rfc2217://127.0.0.1:{listener.getsockname()[1]}"
    with pytest.raises(LinkError, match="cannot be opened"):
        Link(url)


def test_a_server_that_says_nothing_is_given_up():
    """The limit is three seconds, or what `?timeout=` says."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"rfc2217://127.0.0.1:{listener.getsockname()[1]}?timeout=0.5"
        with pytest.raises(LinkError, match="cannot be opened"):
            Link(url)
