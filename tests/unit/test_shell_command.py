# SPDX-License-Identifier: Apache-2.0
import shlex
from pathlib import Path

from mcu_ser.shell_command import shell_command


def test_plain_words_stay_plain():
    assert shell_command("mcu-ser", "build", Path("runs/project")) == "mcu-ser build runs/project"


def test_a_shell_reads_back_what_was_meant():
    words = ["mcu-ser", "verify", "my pröject [b]", "--random", "50", "it's"]
    assert shlex.split(shell_command(*words)) == words
