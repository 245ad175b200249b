# SPDX-License-Identifier: Apache-2.0
"""Proves over a serial link that a board computes what the host computes."""
