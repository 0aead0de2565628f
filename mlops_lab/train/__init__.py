"""Stage 2: train. The course's LeNet-5, trained reproducibly.

``fit(dataset, TrainConfig(...))`` trains and returns a :class:`TrainingRun`. Keras is imported inside the functions
that need it.
"""

from mlops_lab.train.config import TrainConfig
from mlops_lab.train.fitting import fit, lenet5
from mlops_lab.train.run import TrainingRun, accuracy
from mlops_lab.train.sklearn import fit_sklearn

__all__ = ["TrainConfig", "TrainingRun", "accuracy", "fit", "fit_sklearn", "lenet5"]
