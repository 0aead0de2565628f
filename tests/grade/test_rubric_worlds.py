"""What checks play is what they say, for any secret."""

import numpy as np
import pytest

from mlops_lab.grade.exercises import find
from mlops_lab.grade.rubric.train_curves import EPOCHS, best, overfits, recorded
from mlops_lab.grade.rubric.train_search import SPLITS, World
from mlops_lab.grade.running import Settings, run_exercise
from mlops_lab.grade.session import local_answer

SEEDS = range(60)


def eight(*given):
    return np.arange(8)


def described(split):
    figures = {"count": len(split), "shape": (28, 28), "dtype": "uint8", "lowest": 0, "highest": 255, "per_class": []}
    return {**figures, "zeros": "46 %"}


UNREADABLE = {
    "data-2": described,
    "data-3": lambda images: np.array([None, *images], dtype=object)[:1],
    "data-4": lambda *given: ([[1], [1, 2]], [3]),
    "data-6": lambda *given: [[1], [1, 2]],
    "train-3": (eight, eight),
    "train-5": lambda configs, train, score: (configs[0], None),
    "monitor-2": (lambda *given: 10**400, eight),
    "monitor-3": eight,
    "validate-3": (eight, lambda *given: [[1], [1, 2]]),
}


@pytest.mark.parametrize("id", UNREADABLE)
def test_an_answer_that_cannot_be_compared_is_wrong_and_breaks_no_check(id):
    exercise = find(id)
    result = run_exercise(exercise, local_answer(exercise, UNREADABLE[id]), Settings())
    states = {part.state for part in result.parts}
    assert "failed" in states and "error" not in states, str(result)


def test_a_type_that_is_wrong_costs_its_own_check_only():
    exercise = find("data-3")

    def prepare(images):
        return (images if images.ndim == 3 else images[np.newaxis])[..., np.newaxis] / 255

    result = run_exercise(exercise, local_answer(exercise, prepare), Settings())
    assert [part.state for part in result.parts] == ["failed", "passed", "passed"], str(result)


@pytest.mark.parametrize("id", ["data-3", "data-6", "validate-3"])
def test_rows_of_different_lengths_have_their_hint(id):
    exercise = find(id)
    result = run_exercise(exercise, local_answer(exercise, UNREADABLE[id]), Settings())
    assert "ragged" in {part.key for part in result.parts}, str(result)


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
