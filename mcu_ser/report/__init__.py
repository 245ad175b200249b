# SPDX-License-Identifier: Apache-2.0
"""Reports of `verify` for people: one page per run, and two runs side by side."""
