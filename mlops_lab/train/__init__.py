"""Stage 2: train. The course's LeNet-5, trained the same way every time.

``fit(dataset, TrainConfig(...))`` answers a :class:`TrainingRun`. Keras is imported inside the functions that need it.
"""

from mlops_lab.train.config import TrainConfig as TrainConfig
from mlops_lab.train.fitting import fit as fit
from mlops_lab.train.fitting import lenet5 as lenet5
from mlops_lab.train.run import TrainingRun as TrainingRun
from mlops_lab.train.run import accuracy as accuracy
from mlops_lab.train.sklearn import fit_sklearn as fit_sklearn
