# SPDX-License-Identifier: Apache-2.0
"""Listening to a board that listens: what it hears and decides, live, on the terminal and in files."""
