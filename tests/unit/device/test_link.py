# SPDX-License-Identifier: Apache-2.0
import os
import pty
import socket
import threading
import time

import pytest

from mcu_ser.device.device import AttachedPort
from mcu_ser.device.link import Link
from mcu_ser.device.streams import TcpStream
from mcu_ser.errors import DeviceFaultError, LinkError
from mcu_ser.verify.client import Client
from mcu_ser.verify.patience import Patience


class Server:
    """A TCP port on the loopback interface; `serve` runs in a thread with each connection."""

    def __init__(self, serve):
        self._serve = serve
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"socket://127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._run)

    def _run(self):
        connection, _ = self._listener.accept()
        with connection:
            try:
                self._serve(connection)
            except OSError:
                pass  # the client has left

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *error):
        self._thread.join(timeout=10)
        self._listener.close()
        assert not self._thread.is_alive()


def echo(connection):
    while data := connection.recv(4096):
        connection.sendall(data)


def read_exactly(link, count):
    data = b""
    while len(data) < count:
        part = link.read(2.0)
        assert part, f"{len(data)} of {count} bytes"
        data += part
    return data


def test_bytes_go_both_ways_over_tcp_and_are_counted():
    with Server(echo) as server, Link(server.url) as link:
        data = bytes(range(256)) * 100
        link.write(data)
        assert read_exactly(link, len(data)) == data
        assert (link.bytes_sent, link.bytes_received) == (len(data), len(data))


def test_reading_ends_when_nothing_comes():
    with Server(echo) as server, Link(server.url) as link:
        started = time.monotonic()
        assert link.read(0.05) == b""
        assert link.read(0) == b""
        assert 0.05 <= time.monotonic() - started < 1


def test_small_writes_are_not_held_back():
    with Server(echo) as server:
        stream = TcpStream(server.url)
        assert stream._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        stream.close()


def test_a_port_that_closes_is_an_error_that_names_it():
    with Server(lambda connection: None) as server, Link(server.url) as link:
        with pytest.raises(LinkError, match=rf"^{server.url}: went away \(closed by the other side\); try: "):
            link.read(2.0)


def test_writing_to_a_port_that_has_closed_is_an_error():
    with Server(lambda connection: None) as server, Link(server.url) as link:
        with pytest.raises(LinkError, match="went away"):
            for _ in range(100):
                link.write(b"x" * 1000)
                time.sleep(0.01)


@pytest.mark.parametrize(
    "url",
    ["socket://127.0.0.1", "socket://", "socket://127.0.0.1:99999", "nonsense://x", "/dev/no-such-port"],
)
def test_a_url_that_cannot_be_opened_is_an_error_that_names_it(url):
    with pytest.raises(LinkError, match=rf"^{url}: cannot be opened \("):
        Link(url)


def test_a_port_that_nobody_listens_on_is_an_error():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(LinkError, match=r"cannot be opened .*refused"):
        Link(f"socket://127.0.0.1:{port}")


def test_a_dead_device_is_the_reason_that_is_given():
    class Dead(AttachedPort):
        def raise_if_dead(self, wait_s=0.0):
            raise DeviceFaultError("board", "crashed")

    with pytest.raises(DeviceFaultError, match="board: crashed"):
        Link(Dead("/dev/no-such-port"))
    with Server(lambda connection: None) as server, Link(Dead(server.url)) as link:
        with pytest.raises(DeviceFaultError, match="board: crashed"):
            link.read(2.0)


def test_a_serial_port():
    # A pseudo-terminal is a serial port to pyserial.
    board, port = pty.openpty()
    try:
        with Link(os.ttyname(port)) as link:
            link.write(b"\0\1to\r\nboard\xff")
            assert os.read(board, 100) == b"\0\1to\r\nboard\xff"
            os.write(board, b"\0\1to\r\nhost\xff")
            assert read_exactly(link, 11) == b"\0\1to\r\nhost\xff"
            assert link.read(0.01) == b""
            with pytest.raises(LinkError, match="cannot be opened"):
                Link(os.ttyname(port))  # one program at a time
            os.close(board)
            with pytest.raises(LinkError, match="went away"):
                link.read(2.0)
    finally:
        os.close(port)


def test_a_pyserial_handler_without_file_descriptor():
    with Link("loop://") as link:
        link.write(b"abc")
        assert read_exactly(link, 3) == b"abc"
        assert link.read(0.05) == b""


def flood(connection):
    while True:
        connection.sendall(b"\xaa\x55" * 4096)


def chatter(connection):
    for _ in range(1000):
        connection.sendall(b"ModemManager: AT+GMI\r\n\0")
        time.sleep(0.01)


@pytest.mark.parametrize("serve", [flood, chatter, echo])
def test_a_port_that_is_no_board_is_found_out_in_time(serve):
    with Server(serve) as server:
        started = time.monotonic()
        with Link(server.url) as link, pytest.raises(LinkError) as caught:
            Client(link, Patience(hello_s=0.5)).hello()
        assert time.monotonic() - started < 2
    expected = "sends back what it receives" if serve is echo else "something else than protocol frames"
    assert expected in str(caught.value)


def test_a_silent_port_is_found_out_in_time():
    def listen_only(connection):
        while connection.recv(4096):
            pass

    with Server(listen_only) as server, Link(server.url) as link:
        with pytest.raises(LinkError, match=r"is silent: nothing received in 0\.3 s"):
            Client(link, Patience(hello_s=0.3)).hello()
