import re

import pytest

from mlops_lab.serve.background import RecordedRequest
from mlops_lab.widgets.request_stats import RequestStats, columns, histogram


def seen(at, milliseconds=1.0, status=200, path="/models"):
    return RecordedRequest("GET", path, status, milliseconds, 10, at)


def test_only_the_window_counts():
    stats = RequestStats.of([seen(50), seen(91), seen(99.5), seen(99.9), seen(100.5)], now=100.0, window=10)
    assert stats.total == 3
    assert stats.per_second == pytest.approx(0.3)
    assert stats.history == (1, 0, 0, 0, 0, 0, 0, 0, 0, 2)


def test_percentiles():
    stats = RequestStats.of([seen(1, number) for number in range(101)], now=2.0)
    assert (stats.p50, stats.p95) == (50, 95)


def test_statuses_and_routes():
    stats = RequestStats.of([seen(1), seen(1), seen(1, status=404, path="/x")], now=2.0)
    assert stats.statuses == {"200": 2, "404": 1}
    assert stats.routes == {"GET /models": 2, "GET /x": 1}
    html = stats._repr_html_()
    assert "✓ 200" in html
    assert "! 404" in html


def test_nothing_yet():
    stats = RequestStats.of([], now=1.0)
    assert (stats.total, stats.p95, sum(stats.history)) == (0, 0.0, 0)
    assert "<svg" in stats._repr_html_()


def test_a_route_is_text():
    assert "<b>" not in RequestStats.of([seen(1, path="/<b>")], now=2.0)._repr_html_()


def test_the_columns_have_a_text():
    assert 'aria-label="Requests per second over the last 2 seconds; maximum: 7."' in columns([7, 1])


def test_the_histogram_says_how_often():
    html = histogram("m <v1>", {"Bag": 3, "Coat": 1, "Shirt": 0})
    assert "m &lt;v1&gt; predicted, for 4 images" in html
    rows = html.split("<tr")[1:]
    assert [re.findall(r">([^<]+)<", row) for row in rows] == [["Bag", "3"], ["Coat", "1"], ["Shirt", "0"]]
    assert [re.search(r"width: ([\d.]+)%", row)[1] for row in rows] == ["100.0", "33.3", "1.0"]
    assert ["600" in row for row in rows] == [True, False, False]


def test_of_many_classes_the_most_frequent_are_shown():
    html = histogram("m v1", {str(number): number for number in range(100)})
    assert ">99<" in html
    assert html.count("<tr") == 10
