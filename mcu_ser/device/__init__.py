# SPDX-License-Identifier: Apache-2.0
"""Boards as the harness sees them: real, emulated or native, each a URL that speaks the protocol."""
