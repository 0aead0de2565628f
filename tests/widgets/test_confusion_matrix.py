import numpy as np
import pytest

from mlops_lab import widgets
from mlops_lab.errors import UnknownModel
from mlops_lab.widgets.confusion_matrix import grid_style


@pytest.fixture
def matrix(server, digits):
    return widgets.confusion(server, digits, "light", "v2")


def test_it_counts_what_the_server_said(matrix, digits):
    assert (matrix.counts[:, :9] == 0).all()
    assert matrix.counts[:, 9].tolist() == np.bincount(digits.test.labels).tolist()
    assert repr(matrix) == f"<Confusion digits: {(digits.test.labels == 9).sum()} of 359 correct>"


def test_each_cell_says_its_number_in_words(matrix):
    number = matrix.counts[3, 9]
    assert matrix.buttons.options[39] == (str(number), 39)
    assert matrix.buttons.tooltips[39] == f"{number} images labelled 3: classified as 9"
    assert "correctly" in matrix.describe(9, 9)


def test_a_cell_opens_its_images(matrix, digits):
    assert matrix.gallery.layout.display == "none"
    matrix.buttons.index = 39
    assert matrix.gallery.layout.display is None
    assert set(digits.test.labels[matrix.gallery.indices]) == {3}
    assert "labelled 3: classified as 9" in matrix.note.value
    assert "nth-child(40) {outline" in matrix.style.value


def test_a_cell_of_zero_is_empty(matrix):
    matrix.buttons.index = 30
    assert len(matrix.gallery.indices) == 0


def test_an_unknown_model_is_an_error_of_the_lab(server, digits):
    with pytest.raises(UnknownModel):
        widgets.confusion(server, digits, "heavy")


def test_a_class_without_images_divides_nothing_by_zero():
    assert "nan" not in grid_style("some", np.zeros((3, 3), np.int64))
