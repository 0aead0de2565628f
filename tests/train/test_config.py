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
    ],
)
def test_settings_that_make_no_sense(wrong):
    with pytest.raises(WrongUsage):
        TrainConfig(**wrong)


def test_the_cosine_falls_to_nothing_and_the_course_stays():
    config = TrainConfig(epochs=20)
    rates = [config.learning_rate_at(epoch) for epoch in range(20)]
    assert rates == sorted(rates, reverse=True)
    assert rates[0] == pytest.approx(config.learning_rate, rel=0.01)
    assert rates[-1] < 0.01 * config.learning_rate
    assert {TrainConfig.course().learning_rate_at(epoch) for epoch in range(20)} == {1e-3}


def test_the_course_s_recipe():
    course = TrainConfig.course(epochs=3, seed=4)
    assert (course.epochs, course.seed, course.flip, course.schedule) == (3, 4, False, "constant")
    assert (course.batch_size, course.validation_split) == (128, 0.2)
