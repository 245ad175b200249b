# SPDX-License-Identifier: Apache-2.0
"""Turns recordings into wav2vec 2.0's embeddings: latents, then context, projector and mean over time.

Baevski et al., "wav2vec 2.0" (arXiv 2006.11477). The feature encoder (raw audio to one latent per 20 ms)
stays frozen, so its latents are computed once per clip, each clip alone: the base model normalises its first
layer over the whole length, and zeros behind a clip would change every latent of it. All that follows is
exact behind a mask, so clips of different lengths share a batch from there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mcu_ser.features.clip import SAMPLE_RATE_HZ
from mcu_ser.train.wav2vec2_checkpoint import load_classifier
from mcu_ser.train.wav2vec2_import import tf

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from mcu_ser.train.wav2vec2_checkpoint import Checkpoint

# As Wav2Vec2FeatureExtractor of transformers normalises.
_VARIANCE_FLOOR = 1e-7


@dataclass(frozen=True, eq=False)
class Padded:
    """A batch of clips of different lengths.

    Args:
        latents: float32 (batch, frames, channels).
        mask: 1 in the frames of a clip, 0 behind it, float32 (batch, frames).
    """

    latents: NDArray[np.float32]
    mask: NDArray[np.float32]


class Wav2Vec2:
    """A checkpoint's model with a classifier for the classes of a corpus.

    Args:
        checkpoint: Which one.
        classes: Number of emotions.
        max_seconds: Of a longer clip the middle is taken.

    Raises:
        ConfigError: The checkpoint's files do not hold such a model.
        ToolMissingError: The [wav2vec2] extra is not installed.
    """

    def __init__(self, checkpoint: Checkpoint, classes: int, *, max_seconds: float) -> None:
        self.model = load_classifier(checkpoint, classes)
        self._normalizes = checkpoint.normalizes
        self._most_samples = round(max_seconds * SAMPLE_RATE_HZ)
        self._least_samples = _samples_of_one_latent(self.model.config)

    @property
    def trained(self) -> list[Any]:
        """The variables that fine-tuning moves: all but the feature encoder's, and one that no clip uses."""
        unused = "masked_spec_embed"
        return [variable for variable in self.model.trainable_variables if unused not in variable.name]

    def latents(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """What the frozen feature encoder makes of one clip.

        Args:
            samples: Mono float32 (n,), n >= 1, at 16 kHz; zeros follow a clip too short for one latent.

        Returns:
            float32 (frames, channels), frames >= 1.
        """
        first = max(0, len(samples) - self._most_samples) // 2
        clip = samples[first : first + self._most_samples].astype(np.float32)
        if self._normalizes:
            clip = (clip - clip.mean()) / np.sqrt(clip.var() + _VARIANCE_FLOOR)
        clip = np.pad(clip, (0, max(0, self._least_samples - len(clip))))
        latents: NDArray[np.float32] = self.model.wav2vec2.feature_extractor(tf.constant(clip[None]))[
            0
        ].numpy()
        return latents

    def forward(self, latents: Any, mask: Any, *, training: bool) -> tuple[Any, Any]:
        """Embeddings and class scores of a batch.

        Args:
            latents: float32 (batch, frames, channels).
            mask: float32 (batch, frames), 1 in the frames of a clip, at least one each.
            training: Whether dropout is on.

        Returns:
            The projector's outputs, averaged over the frames of each clip, float32 (batch,
            classifier_proj_size), and logits, float32 (batch, classes).
        """
        main = self.model.wav2vec2
        hidden, _ = main.feature_projection(latents, training=training)
        context = main.encoder(hidden, attention_mask=mask, training=training).last_hidden_state
        projected = self.model.projector(context) * mask[..., None]
        embeddings = tf.reduce_sum(projected, axis=1) / tf.reduce_sum(mask, axis=1, keepdims=True)
        return embeddings, self.model.classifier(embeddings)


def padded(latents: Sequence[NDArray[np.float32]], frames: int) -> Padded:
    """Latents of several clips, each (its frames, channels), as one batch of `frames` >= their longest."""
    batch = np.zeros((len(latents), frames, latents[0].shape[1]), np.float32)
    mask = np.zeros((len(latents), frames), np.float32)
    for row, one in enumerate(latents):
        batch[row, : len(one)] = one
        mask[row, : len(one)] = 1.0
    return Padded(batch, mask)


def _samples_of_one_latent(config: Any) -> int:
    samples = 1
    for kernel, stride in zip(reversed(config.conv_kernel), reversed(config.conv_stride), strict=True):
        samples = (samples - 1) * stride + kernel
    return samples
