import pytest

from mlops_lab.errors import WrongUsage
from mlops_lab.train import TrainConfig


@pytest.mark.parametrize(
    "wrong",
    [
        {"epochs": 0},
        {"batch_size": 0},
        {"learning_rate": 0},
        {"validation_split": 0.0},
        {"validation_split": 1.0},
        {"schedule": "step"},
        {"optimizer": "sgd"},
        {"steps_per_call": 0},
    ],
)
def test_settings_that_make_no_sense(wrong):
    with pytest.raises(WrongUsage):
        TrainConfig(**wrong)


@pytest.mark.parametrize("schedule", ["linear", "cosine"])
def test_the_learning_rate_falls_from_its_highest_to_nothing(schedule):
    config = TrainConfig(schedule=schedule)
    rates = [config.learning_rate_at(step / 20) for step in range(21)]
    assert rates == sorted(rates, reverse=True)
    assert rates[0] == config.learning_rate
    assert rates[10] == pytest.approx(config.learning_rate / 2)
    assert rates[20] == pytest.approx(0)


def test_the_course_keeps_its_learning_rate():
    assert {TrainConfig.course().learning_rate_at(step / 20) for step in range(21)} == {1e-3}


def test_the_demo_takes_the_recipe_s_epochs():
    from mlops_lab.cli.lab import demo

    assert {option.name: option.default for option in demo.params}["epochs"] == TrainConfig().epochs


def test_the_course_s_recipe():
    course = TrainConfig.course(epochs=3, seed=4)
    assert (course.epochs, course.seed, course.flip, course.schedule) == (3, 4, False, "constant")
    assert (course.batch_size, course.validation_split, course.optimizer) == (128, 0.2, "adam")
