# SPDX-License-Identifier: Apache-2.0
"""Volumes found by label and probe in a made-up system, and a copy to one that may refuse it."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcu_ser.board import load_board
from mcu_ser.errors import ConfigError, FlashError, ToolMissingError
from mcu_ser.flash import mass_storage
from mcu_ser.flash.choice import choose_runner
from mcu_ser.flash.mass_storage import MassStorage
from mcu_ser.flash.runner import FlashJob
from mcu_ser.flash.volumes import Volume, mounted_volumes, parse_mounts

BOARD = load_board("nucleo_f446re")


def system_with(root: Path, disks: dict[str, tuple[str, str, str]]) -> Path:
    """A system's files: block device -> label, mount point, serial number of its USB device."""
    (root / "proc" / "self").mkdir(parents=True)
    (root / "dev" / "disk" / "by-label").mkdir(parents=True)
    (root / "sys" / "class" / "block").mkdir(parents=True)
    lines = ["proc /proc proc rw 0 0"]
    for name, (label, mount_point, serial) in disks.items():
        escaped = mount_point.replace("\\", "\\134").replace(" ", "\\040")
        lines.append(f"/dev/{name} {escaped} vfat rw,nosuid 0 0")
        if label:
            (root / "dev" / "disk" / "by-label" / label.replace(" ", "\\x20")).symlink_to(f"../../{name}")
        usb = root / "sys" / "devices" / "usb1" / f"1-{name}"
        block = usb / "host0" / "block" / name
        block.mkdir(parents=True)
        if serial:
            (usb / "idVendor").write_text("0483\n")
            (usb / "serial").write_text(f"{serial}\n")
        (root / "sys" / "class" / "block" / name).symlink_to(block)
    (root / "proc" / "self" / "mounts").write_text("\n".join(lines) + "\n")
    return root


def test_volumes_have_label_mount_point_and_probe(tmp_path: Path) -> None:
    root = system_with(
        tmp_path,
        {
            "sda": ("NODE_F446RE", "/media/me/NODE_F446RE", "066DFF51"),
            "sdb1": ("My Disk", "/media/me/My Disk", ""),
            "sdc": ("", "/mnt/NUCLEO", "0668AA02"),
        },
    )
    assert mounted_volumes(root) == (
        Volume("My Disk", Path("/media/me/My Disk")),
        Volume("NODE_F446RE", Path("/media/me/NODE_F446RE"), "066DFF51"),
        Volume("NUCLEO", Path("/mnt/NUCLEO"), "0668AA02"),
    )


def test_without_a_mount_table_there_are_no_volumes(tmp_path: Path) -> None:
    assert mounted_volumes(tmp_path) == ()


def test_the_volumes_of_this_computer_can_be_listed() -> None:
    assert all(isinstance(volume, Volume) for volume in mounted_volumes())


@given(st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), min_size=1))
def test_mount_points_are_unescaped(name: str) -> None:
    escaped = "".join(f"\\{ord(c):03o}" if c in " \t\n\\#" else c for c in name)
    assert list(parse_mounts(f"/dev/sda1 /media/{escaped} vfat rw 0 0\n")) == [
        ("/dev/sda1", Path(f"/media/{name}"))
    ]


@pytest.mark.parametrize(
    ("label", "called"),
    [("NODE_F446RE", True), ("NODE_F446RE1", True), ("NODE_F446", False), ("NODE_F446RE12", False)],
)
def test_a_number_tells_two_volumes_of_a_name_apart(label: str, called: bool) -> None:
    assert Volume(label, Path("/media/x")).is_called(("NODE_F446RE",)) is called


@pytest.fixture
def volume(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory of a mounted volume, and no more waiting than needed."""
    directory = tmp_path / "NODE_F446RE"
    directory.mkdir()
    (directory / "MBED.HTM").touch()
    found = (Volume("NODE_F446RE", directory, "066DFF51"),)
    monkeypatch.setattr(mass_storage, "mounted_volumes", lambda: found)
    monkeypatch.setattr(mass_storage, "_OUTCOME_S", 0.3)
    monkeypatch.setattr(mass_storage, "_LOOK_AGAIN_S", 0.01)
    return directory


@pytest.fixture
def job(tmp_path: Path) -> FlashJob:
    elf = tmp_path / "build" / "firmware.elf"
    elf.parent.mkdir()
    elf.with_suffix(".hex").write_text(":00000001FF\n")
    return FlashJob(BOARD, tmp_path, elf)


def run(job: FlashJob, directory: Path) -> int:
    return MassStorage().execute(str(directory), job, job.elf.parent / "flash.log", 5.0)


def test_the_firmware_is_copied_whole(volume: Path, job: FlashJob) -> None:
    assert choose_runner(job, "mass_storage")[1] == str(volume)
    assert run(job, volume) == 0
    assert (volume / "firmware.hex").read_text() == ":00000001FF\n"
    assert (job.elf.parent / "flash.log").read_text() == f"copied firmware.hex to {volume}\n"


def test_a_volume_that_goes_away_after_the_copy_is_as_it_should_be(
    volume: Path, job: FlashJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    def go_away(seconds: float) -> None:
        if volume.exists():
            volume.rename(volume.parent / "away")

    monkeypatch.setattr(mass_storage.time, "sleep", go_away)
    assert run(job, volume) == 0


def test_the_probes_answer_is_the_error(volume: Path, job: FlashJob, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "The interface firmware FAILED to reset/halt the target MCU\r\n"
    monkeypatch.setattr(mass_storage.time, "sleep", lambda seconds: (volume / "FAIL.TXT").write_text(text))
    with pytest.raises(FlashError) as caught:
        run(job, volume)
    assert str(caught.value) == (
        f"{volume}: refused the firmware: The interface firmware FAILED to reset/halt the target MCU; "
        "try: another runner, which says more"
    )


def test_a_failure_from_before_is_not_taken_for_this_ones(volume: Path, job: FlashJob) -> None:
    (volume / "FAIL.TXT").write_text("old")
    with pytest.raises(FlashError, match="holds a failure from before: old; try: plugging the board out"):
        run(job, volume)
    assert not (volume / "firmware.hex").exists()


def test_a_volume_without_room_is_an_error(
    volume: Path, job: FlashJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(mass_storage.os, "fsync", full)
    with pytest.raises(FlashError, match=r"does not take the firmware \(No space left on device\)"):
        run(job, volume)


def test_a_board_whose_volume_is_not_mounted(job: FlashJob, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mass_storage, "mounted_volumes", lambda: (Volume("OTHER", Path("/media/OTHER")),))
    with pytest.raises(ToolMissingError) as caught:
        choose_runner(job, "mass_storage")
    assert str(caught.value) == (
        "mass_storage: no volume NODE_F446RE or NUCLEO is mounted; "
        "try: opening the board's drive in the file manager, or mount it"
    )


def test_of_two_volumes_the_probes_is_taken(job: FlashJob, monkeypatch: pytest.MonkeyPatch) -> None:
    both = (Volume("NODE_F446RE", Path("/media/a"), "066D"), Volume("NODE_F446RE1", Path("/media/b"), "0668"))
    monkeypatch.setattr(mass_storage, "mounted_volumes", lambda: both)
    with pytest.raises(ConfigError) as caught:
        choose_runner(job, "mass_storage")
    assert str(caught.value) == (
        "nucleo_f446re: 2 volumes may be it: /media/a, /media/b; try: --probe SERIAL"
    )
    with_probe = FlashJob(job.board, job.project, job.elf, probe="0668")
    assert choose_runner(with_probe, "mass_storage")[1] == "/media/b"
