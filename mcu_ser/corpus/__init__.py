# SPDX-License-Identifier: Apache-2.0
"""Turns recordings, or the built-in synthesiser, into labelled utterances and speaker-disjoint splits."""
