import re

import pytest

from mlops_lab import widgets


@pytest.fixture
def both(server, digits):
    return widgets.compare(server, digits, ("light", "v1"), ("light", "v2"))


def test_a_pick_asks_both_sides(both, server):
    before = len(server.requests)
    both.gallery.buttons.index = 3
    asked = [seen.path for seen in list(server.requests)[before:] if seen.method == "POST"]
    assert asked == ["/models/light/v1", "/models/light/v2"]
    assert re.findall(r"It says: (\d)", both.result.value)[1] == "9"


def test_only_where_they_disagree(both, digits, predictors):
    both.only.value = True
    first, second = (one.probabilities(digits.test.images[both.gallery.indices]) for one in predictors)
    assert (first.argmax(axis=1) != second.argmax(axis=1)).all()
    both.only.value = False
    assert both.gallery.indices.tolist() == list(range(16))


def test_one_side_that_is_not_there(server, digits):
    both = widgets.compare(server, digits, ("light", "v1"), ("light", "v3"))
    assert "It says:" in both.result.value
    assert "has no version" in both.result.value
    both.only.value = True
    assert both.only.value is False
    assert "✗ error" in both.result.value


def test_its_text_is_short(both, server):
    assert repr(both) == f"<Compare light v1 with light v2 at {server.url}>"
