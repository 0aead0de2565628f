import numpy as np

from mlops_lab import train


def test_a_scikit_learn_run(digits_run, digits):
    assert digits_run.metrics["test_accuracy"] > 0.95
    assert digits_run.framework == "scikit-learn"
    assert digits_run.data_checksum == digits.checksum
    assert digits_run.examples.shape == (10, 8, 8)
    assert digits_run.settings["model"] == "MLPClassifier"


def test_the_same_seed_gives_the_same_scikit_learn_model(digits, digits_run):
    again = train.fit_sklearn(digits)
    assert all(np.array_equal(a, b) for a, b in zip(again.model.coefs_, digits_run.model.coefs_, strict=True))


def test_an_estimator_of_one_s_own(digits):
    from sklearn.linear_model import LogisticRegression

    run = train.fit_sklearn(digits.limited(300), LogisticRegression(max_iter=5000))
    assert run.settings["model"] == "LogisticRegression"
    assert run.metrics["test_accuracy"] > 0.8
