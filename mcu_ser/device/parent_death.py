# SPDX-License-Identifier: Apache-2.0
"""Becomes another program that the kernel kills when the process that asked for it dies (Linux).

Run as `python parent_death.py PARENT_PID PROGRAM ARGUMENT...`. It stands between the caller and the program
because the request is made by the child itself, and `preexec_fn` is unsafe in a process with threads
(TensorFlow starts some). Elsewhere than on Linux it just becomes the program. The program writes no core
file: a crash of the firmware is reported, not debugged, and that of an emulator would be huge.
"""

from __future__ import annotations

import os
import resource
import signal
import sys

_PR_SET_PDEATHSIG = 1  # prctl(2)


def _main() -> None:
    parent, program, *_ = sys.argv[1:]
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != int(parent):
            sys.exit(1)  # the parent died before the request was made
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    os.execv(program, sys.argv[2:])


if __name__ == "__main__":
    _main()
