# SPDX-License-Identifier: Apache-2.0
"""Turns features into a source model, a similarity graph, and a small model trained with that graph."""
