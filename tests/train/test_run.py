import numpy as np

from mlops_lab.train import accuracy


def test_accuracy():
    assert accuracy(np.eye(4), np.array([0, 1, 2, 0])) == 0.75


def test_representations_of_a_run_without_curves(digits_run):
    assert "scikit-learn model trained on digits" in str(digits_run)
    assert "<img" not in digits_run._repr_html_()
    assert digits_run.to_dict()["data"]["sha256"] == digits_run.data_checksum
