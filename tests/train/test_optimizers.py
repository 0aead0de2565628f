import numpy as np
import pytest

from mlops_lab.train import TrainConfig, lenet5
from mlops_lab.train.optimizers import build_optimizer

pytestmark = pytest.mark.tensorflow


@pytest.fixture(scope="module")
def model():
    return lenet5()


def test_the_course_s_optimizer_is_keras_s_adam():
    optimizer = build_optimizer(TrainConfig.course())
    assert type(optimizer).__name__ == "Adam"
    assert float(optimizer.learning_rate) == pytest.approx(1e-3)


def test_muon_holds_one_sum_for_each_kernel_and_two_for_each_bias(model):
    """A change inside Keras that gives the convolutions back to Adam shows here."""
    optimizer = build_optimizer(TrainConfig())
    optimizer.build(model.trainable_variables)
    kernels = [variable for variable in model.trainable_variables if len(variable.shape) > 1]
    assert len(kernels) == 5
    sums = sum(int(np.prod(variable.shape)) for variable in optimizer.variables) - 2  # its step and learning rate
    biases = model.count_params() - sum(int(np.prod(kernel.shape)) for kernel in kernels)
    assert sums == model.count_params() + biases


def test_a_step_of_muon_is_equally_long_in_every_direction(model):
    optimizer = build_optimizer(TrainConfig(learning_rate=0.1))
    optimizer.build(model.trainable_variables)
    random = np.random.default_rng(0)
    before = model.get_weights()
    optimizer.apply([random.normal(size=weight.shape).astype(np.float32) for weight in before])
    steps = [new - old for new, old in zip(model.get_weights(), before, strict=True) if old.ndim > 1]
    for step in steps:
        matrix = step.reshape(-1, step.shape[-1])
        lengths = np.linalg.svd(matrix, compute_uv=False) / (0.1 * 0.2 * max(matrix.shape) ** 0.5)
        assert 0.3 < lengths.min() <= lengths.max() < 1.6
