# SPDX-License-Identifier: Apache-2.0
"""Compares ways to train the small model: approaches, folds, seeds and stages in one table."""
