# SPDX-License-Identifier: Apache-2.0
import errno
import os
import subprocess
import sys
import threading
import time
from dataclasses import replace

import pytest

from mcu_ser.claims import Claims, Owner


@pytest.fixture
def directory(tmp_path):
    return tmp_path / "claims"


def claims(directory, **options) -> Claims:
    return Claims(directory, Owner.this_process(), **options)


def of_another_machine(directory) -> Claims:
    return Claims(directory, replace(Owner.this_process(), machine="elsewhere"))


def age(path, seconds) -> None:
    then = path.stat().st_mtime - seconds
    os.utime(path, (then, then))


def test_one_process_gets_a_claim_until_it_gives_it_up(directory) -> None:
    first, second = claims(directory), claims(directory)
    with first.claimed("job") as mine:
        assert mine
        with second.claimed("job") as also_mine:
            assert not also_mine
        assert second.held() == {"job": first.owner}  # the vain attempt left it alone
    with second.claimed("job") as mine_now:
        assert mine_now
    assert list(directory.iterdir()) == []


def test_a_file_system_without_links_will_do(directory, monkeypatch) -> None:
    def no_links(source, target):
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", no_links)
    test_one_process_gets_a_claim_until_it_gives_it_up(directory)


def test_a_file_system_that_is_full_is_an_error(directory, monkeypatch) -> None:
    def full(source, target):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "link", full)
    with pytest.raises(OSError, match="No space left"), claims(directory).claimed("job"):
        pass
    assert list(directory.iterdir()) == []


def test_an_error_gives_the_claim_up(directory) -> None:
    with pytest.raises(KeyboardInterrupt), claims(directory).claimed("job"):
        raise KeyboardInterrupt
    assert claims(directory).held() == {}


def test_many_threads_at_once_and_one_wins(directory) -> None:
    won = []
    start, end = threading.Barrier(8), threading.Barrier(8)

    def attempt() -> None:
        mine = claims(directory)
        start.wait()
        with mine.claimed("job") as got:
            end.wait()
            if got:
                won.append(mine.owner)

    threads = [threading.Thread(target=attempt) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1


def test_the_claim_of_a_machine_that_fell_silent_is_taken_over(directory) -> None:
    silent = of_another_machine(directory)
    with silent.claimed("job"):
        age(directory / "job", 170)
        with claims(directory).claimed("job") as got:
            assert not got
        age(directory / "job", 190)
        assert claims(directory).held() == {}
        with claims(directory).claimed("job") as got:
            assert got
            # Its former owner wakes up and ends: the claim is not its to give up.
            silent.release("job", silent.owner)
            assert list(claims(directory).held()) == ["job"]


def test_the_claim_of_a_dead_process_of_this_machine_is_taken_over_at_once(directory) -> None:
    program = (
        "import os, pathlib, sys; from mcu_ser.claims import Claims, Owner\n"
        "with Claims(pathlib.Path(sys.argv[1]), Owner.this_process()).claimed('job'): os._exit(9)"
    )
    assert subprocess.run([sys.executable, "-c", program, str(directory)], check=False).returncode == 9
    assert (directory / "job").exists()
    with claims(directory).claimed("job") as got:
        assert got


def test_a_claim_is_kept_alive_while_it_is_held(directory) -> None:
    with claims(directory, heartbeat_s=0.01).claimed("job"):
        age(directory / "job", 1000)
        deadline = time.monotonic() + 30
        while not claims(directory).held():
            assert time.monotonic() < deadline
            time.sleep(0.01)


def test_a_claim_that_was_taken_over_is_not_touched_by_its_former_owner(directory) -> None:
    slow = claims(directory, heartbeat_s=0.01)
    with slow.claimed("job"):
        other = of_another_machine(directory)
        (directory / "job").unlink()
        with other.claimed("job"):
            age(directory / "job", 1000)
            time.sleep(0.1)
            assert claims(directory).held() == {}


def test_a_claim_that_is_being_written_counts_by_its_age(directory) -> None:
    directory.mkdir()
    (directory / "job").write_text("")
    with claims(directory).claimed("job") as got:
        assert not got
    age(directory / "job", 190)
    with claims(directory).claimed("job") as got:
        assert got


def test_a_fresh_claim_that_was_moved_away_by_mistake_is_put_back(directory) -> None:
    # Two saw the same stale claim; the quicker one has made its own when the slower one moves "it" away.
    stale, quick, slow = Owner("elsewhere", 1, "s"), of_another_machine(directory), claims(directory)
    with quick.claimed("job"):
        slow._remove_stale(directory / "job", stale)
        assert slow.held() == {"job": quick.owner}
