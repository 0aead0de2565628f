"""What a version does on held-out data is written when it is published."""

from dataclasses import replace

import numpy as np
import pytest

from mlops_lab.data import Split
from mlops_lab.errors import WrongUsage
from mlops_lab.summary import held_out


def cut(split, places):
    return Split(split.images[places], split.labels[places])


def test_training_data_is_not_taken_for_held_out_data(models, digits, digits_run):
    learned = replace(digits_run, held_out=digits.train, metrics={"test_accuracy": 0.9})
    with pytest.raises(WrongUsage, match="from its training"):
        models.publish(learned, "digits")
    assert models.versions("digits") == [1]


@pytest.mark.parametrize("examples", [None, 100])
def test_a_version_with_too_few_held_out_examples_has_no_reference(models, digits, digits_run, examples):
    few = examples and cut(digits.test, slice(examples))
    version = models.publish(replace(digits_run, held_out=few), "digits")
    assert not (version.path / held_out.FILE).exists()


def test_of_a_large_split_a_part_is_drawn_from_everywhere(models, digits, digits_run, monkeypatch):
    monkeypatch.setattr(held_out, "MOST", 200)
    ordered = cut(digits.test, np.argsort(digits.test.labels, kind="stable"))
    version = models.publish(replace(digits_run, held_out=ordered), "digits")
    summary, about, _ = held_out.unpack((version.path / held_out.FILE).read_bytes(), "it")
    assert summary.count == 200 and (summary.classes > 5).all()
    assert (about["model"], about["version"]) == ("digits", 2)
