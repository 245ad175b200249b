# SPDX-License-Identifier: Apache-2.0
"""Turns the trained small model into a sparse one, and that into one trained for int8 arithmetic."""
