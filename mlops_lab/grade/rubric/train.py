"""train-1 to train-5: LeNet-5, and knowing when to stop."""

from mlops_lab.grade.rubric.train_curves import exercise as curves
from mlops_lab.grade.rubric.train_network import loss, network
from mlops_lab.grade.rubric.train_repeat import exercise as repeat
from mlops_lab.grade.rubric.train_search import exercise as search

__all__ = ["curves", "loss", "network", "repeat", "search"]
