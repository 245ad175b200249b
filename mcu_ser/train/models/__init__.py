# SPDX-License-Identifier: Apache-2.0
"""The networks, one file each: `build(shape, classes, ...)` returns an untrained Keras model.

Input (frames, mels, 1), output the class probabilities; a layer named `embedding` gives one vector per clip.
Every layer is named, so that the converted file depends on the weights and the recipe alone.
"""
