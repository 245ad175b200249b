# SPDX-License-Identifier: Apache-2.0
"""A built firmware, put on its board: ports and probes found, a tool run, the board asked what it runs."""
