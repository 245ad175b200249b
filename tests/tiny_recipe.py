# SPDX-License-Identifier: Apache-2.0
"""Tables of recipes that are small in every way; a test's recipe is some of them, in any order."""

NAME = 'name = "tiny"\nseed = 3\n'

SOURCE = """
[corpora.source]
reader = "synthetic"
language = "source"
speakers = 3
takes = 1
"""

TARGET = """
[corpora.target]
reader = "synthetic"
language = "target"
speakers = 3
takes = 1
test_speakers = ["t03"]
"""

VALIDATED_TARGET = """
[corpora.target]
reader = "synthetic"
language = "target"
speakers = 4
takes = 1
validation_speakers = ["t03"]
test_speakers = ["t04"]
"""

FEATURES = """
[features]
frames = 32
mels = 16
"""

SOURCE_MODEL = """
[source_model]
width = 8
fit = { epochs = 1, learning_rate = 3e-3, batch_size = 8 }
"""

GRAPH = """
[graph]
similarity_threshold = 0.3
"""

MODEL = """
[model]
family = "ds_cnn"
width = 8
blocks = 1
"""

TRAINING = """
[training]
fit = { epochs = 1, learning_rate = 5e-3, batch_size = 8 }
"""

QAT = """
[qat]
fit = { epochs = 1, learning_rate = 5e-4, batch_size = 8 }
"""
