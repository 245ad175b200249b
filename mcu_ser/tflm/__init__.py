# SPDX-License-Identifier: Apache-2.0
"""Engine tflm: what the TFLite-Micro interpreter needs of a model, and which of its libraries can run it."""
