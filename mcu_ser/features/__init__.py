# SPDX-License-Identifier: Apache-2.0
"""Turns samples into normalised log-mel spectrograms, the input of every model here."""
