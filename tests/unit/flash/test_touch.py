# SPDX-License-Identifier: Apache-2.0
"""Which of the ports that come and go is the touched board's."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcu_ser.errors import DeviceError
from mcu_ser.flash import touch
from mcu_ser.flash.ports import PortRecord
from mcu_ser.flash.touch import await_port

LOADER = (0x2341, 0x005A)
SKETCH = PortRecord("/dev/ttyACM0", (0x2341, 0x805A), "B3A1", "Nano 33 BLE", "1-3")


class Clock:
    """Time that passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def found(
    listings: Sequence[Sequence[PortRecord]], like: PortRecord = SKETCH, known: Sequence[PortRecord] = ()
) -> tuple[PortRecord, float]:
    """The port that is found when the lists come one after the other, and when."""
    clock = Clock()
    rest = iter(listings)
    seen: list[Sequence[PortRecord]] = [()]

    def lister() -> Sequence[PortRecord]:
        seen[0] = next(rest, seen[0])
        return seen[0]

    port = await_port([LOADER], lister, like=like, known=known, timeout_s=10, clock=clock, sleep=clock.sleep)
    return port, clock.now


def loader(device: str, location: str = "") -> PortRecord:
    return PortRecord(device, LOADER, "", "Nano 33 BLE loader", location)


def test_the_port_is_awaited() -> None:
    port, seconds = found([[SKETCH], [], [], [loader("/dev/ttyACM1", "1-3")]])
    assert port.device == "/dev/ttyACM1"
    assert round(seconds, 6) == 0.3


def test_another_board_in_its_boot_loader_is_left_alone() -> None:
    other = loader("/dev/ttyACM5", "1-7")
    port, _ = found([[other], [other], [other, loader("/dev/ttyACM1", "1-3")]], known=[other])
    assert port.device == "/dev/ttyACM1"
    with pytest.raises(DeviceError, match="appeared in 10 s"):
        found([[other]])


def test_without_a_place_the_new_port_is_taken() -> None:
    nameless = PortRecord("COM3", (0x2341, 0x805A))
    other = loader("COM5")
    port, _ = found([[other], [other, loader("COM4")]], like=nameless, known=[other, nameless])
    assert port.device == "COM4"


def test_two_new_ports_are_not_guessed_between() -> None:
    nameless = PortRecord("COM3", (0x2341, 0x805A))
    with pytest.raises(DeviceError, match=r"seen: COM4 .*; COM5 "):
        found([[loader("COM4"), loader("COM5")]], like=nameless)


def test_a_port_that_udev_has_not_released_yet_is_awaited(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter([("may not", "group"), ("may not", "group")])
    monkeypatch.setattr(touch, "access_problem", lambda device: next(answers, None))
    _, seconds = found([[loader("/dev/ttyACM1", "1-3")]])
    assert round(seconds, 6) == 0.2


PLACES = st.sampled_from(["", "1-3", "1-7", "2-1"])


@given(st.lists(PLACES, max_size=4), PLACES, st.integers(0, 4))
def test_a_port_of_another_place_is_never_taken(places: list[str], mine: str, known: int) -> None:
    like = PortRecord("/dev/ttyACM0", (0x2341, 0x805A), "B3A1", "Nano 33 BLE", mine)
    ports = [loader(f"/dev/ttyACM{number + 1}", place) for number, place in enumerate(places)]
    try:
        port, _ = found([ports], like=like, known=ports[:known])
    except DeviceError:
        here = [port for port in ports if port.location == mine]
        assert not mine or len(here) != 1
    else:
        assert not mine or port.location in {mine, ""}
        assert port not in ports[:known] or (mine and port.location == mine)
