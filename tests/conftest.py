# SPDX-License-Identifier: Apache-2.0
import os
import signal

from hypothesis import settings

# No deadline: a shared machine has slow moments, and time is measured in tools/, never asserted in tests.
# CI draws the same examples in every run; elsewhere each run explores further.
settings.register_profile("default", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "default")

# nohup and a shell's `&` start programs that ignore these, and their children inherit it; tests send them.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)


def pytest_addoption(parser):
    parser.addoption(
        "--update-golden", action="store_true", help="write the golden files instead of comparing"
    )
