# SPDX-License-Identifier: Apache-2.0
"""Ahead-of-time engine: turns an int8 .tflite into C99 that needs no interpreter, no heap and no library.

The way of a model: tflite_reader -> ir -> supported -> passes -> lifetimes -> arena -> kernels/<op> ->
c_emitter; `compile.compile_model` runs it.
"""
