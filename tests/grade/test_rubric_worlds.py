"""What checks play is what they say, for any secret."""

import numpy as np
import pytest

from mlops_lab.grade.rubric.train_curves import EPOCHS, best, overfits, recorded
from mlops_lab.grade.rubric.train_search import SPLITS, World

SEEDS = range(60)


@pytest.mark.parametrize("turns", [12, 14, 22, 31, 39])
def test_a_recorded_training_turns_where_it_should(turns):
    for seed in SEEDS:
        history = recorded(np.random.default_rng(seed), turns)
        assert abs(best(history) - turns) <= 1
        assert best(history) == int(np.argmax(history["val_accuracy"])) + 1
        assert abs(overfits(history) - turns) <= 1
        assert int(np.argmax(history["accuracy"])) + 1 not in (EPOCHS, best(history))


def test_one_training_never_overfits():
    assert {overfits(recorded(np.random.default_rng(seed), EPOCHS + 20)) for seed in SEEDS} == {None}


def test_each_split_has_another_winner():
    for seed in SEEDS:
        world = World(np.random.default_rng(seed))
        assert len(set(world.winners.values())) == len(SPLITS)
        assert all(int(world.scores[split].argmax()) == world.winners[split] for split in SPLITS)
