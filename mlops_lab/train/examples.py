"""Input pipeline: the train/validation split and shuffled batches as a ``tf.data.Dataset``."""

from __future__ import annotations

import math
from typing import Any

from mlops_lab.data import Dataset, Split
from mlops_lab.image import InputSpec, to_input
from mlops_lab.train.config import TrainConfig


def split(dataset: Dataset, validation_split: float) -> tuple[Split, Split]:
    """Return the first examples for training and the last for validation, like Keras's ``validation_split``."""
    edge = int(len(dataset.train) * (1 - validation_split))
    images, labels = dataset.train.images, dataset.train.labels
    return Split(images[:edge], labels[:edge]), Split(images[edge:], labels[edge:])


def batches(part: Split, spec: InputSpec, config: TrainConfig) -> Any:
    """Return the training examples in batches, reshuffled each epoch and flipped if the recipe says so."""
    import tensorflow as tf

    images, labels = tf.constant(to_input(part.images, spec)), tf.constant(part.labels, tf.int32)

    def order(draw: Any) -> Any:
        # Shuffling indices and gathering whole batches saves a tenth of an epoch over shuffling single images.
        numbers = tf.random.experimental.stateless_shuffle(tf.range(len(part)), seed=(config.seed, draw))
        return tf.data.Dataset.from_tensor_slices(numbers).batch(config.batch_size)

    def look_up(numbers: Any) -> Any:
        return tf.gather(images, numbers), tf.gather(labels, numbers)

    def flip(images: Any, labels: Any) -> Any:
        mirrored = tf.random.uniform((tf.shape(images)[0], 1, 1, 1), seed=config.seed) < 0.5
        return tf.where(mirrored, images[:, :, ::-1], images), labels

    found = tf.data.Dataset.random(config.seed, rerandomize_each_iteration=True).take(1).flat_map(order).map(look_up)
    count = math.ceil(len(part) / config.batch_size)
    found = found.apply(tf.data.experimental.assert_cardinality(count))
    return (found.map(flip) if config.flip else found).prefetch(8)
