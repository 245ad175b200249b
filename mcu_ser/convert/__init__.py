# SPDX-License-Identifier: Apache-2.0
"""Turns the quantisation-aware model into an int8 .tflite, and says what its exact answers are."""
