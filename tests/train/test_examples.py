import itertools

import numpy as np
import pytest

from mlops_lab import data
from mlops_lab.image import InputSpec
from mlops_lab.train import TrainConfig, examples

tensorflow = pytest.mark.tensorflow


def test_the_split_is_keras_s_own(digits):
    training, validation = examples.split(digits, 0.2)
    assert (len(training), len(validation)) == (1150, 288)
    assert np.array_equal(validation.images[-1], digits.train.images[-1])


@tensorflow
def test_every_epoch_has_an_order_of_its_own():
    split = data.Split(np.arange(40, dtype=np.uint8).reshape(10, 2, 2), np.arange(10))
    batches = examples.batches(split, InputSpec(shape=(2, 2, 1), size=(2, 2)), TrainConfig(batch_size=4))
    epochs = [[batch[1].numpy().tolist() for batch in batches] for _ in range(3)]
    assert [[len(batch) for batch in epoch] for epoch in epochs] == [[4, 4, 2]] * 3
    orders = [tuple(itertools.chain(*epoch)) for epoch in epochs]
    assert all(sorted(order) == list(range(10)) for order in orders)
    assert len(set(orders)) == 3
