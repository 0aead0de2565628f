import io
import os

import numpy as np
import psutil
import pytest
from rich.console import Console

from mlops_lab import demo
from mlops_lab.errors import ServerError
from mlops_lab.store import ModelStore
from mlops_lab.train import TrainConfig


def test_every_image_is_classified_over_http_as_in_process(digits, digits_run, tmp_path):
    store = ModelStore(tmp_path / "models")
    store.publish(digits_run, "clothes")
    with demo.serving(store.root) as url:
        answers, latencies, seconds = demo.classify_all(url, 1, digits.test.images)
        children = psutil.Process().children()
    over_http = np.array([answer.class_index for answer in answers])
    assert np.array_equal(over_http, store.load("clothes").probabilities(digits.test.images).argmax(axis=1))
    assert (over_http == digits.test.labels).mean() == pytest.approx(digits_run.metrics["test_accuracy"])
    assert len(latencies) == 359
    assert min(latencies) > 0
    assert seconds > 0
    assert children
    assert not any(child.is_running() and child.status() != psutil.STATUS_ZOMBIE for child in children)


def test_the_server_is_gone_after_an_error(shared_models):
    with pytest.raises(RuntimeError), demo.serving(shared_models.root):
        children = psutil.Process().children()
        raise RuntimeError
    assert not any(child.is_running() and child.status() != psutil.STATUS_ZOMBIE for child in children)


def test_a_server_that_does_not_start(tmp_path):
    (tmp_path / "models").write_text("")
    with pytest.raises(ServerError, match="did not start"), demo.serving(tmp_path / "models"):
        pytest.fail("it started")


def test_a_new_process_is_new():
    assert demo.in_new_process(os.getpid) != os.getpid()


@pytest.mark.tensorflow
def test_the_main_job(tiny_fashion, tmp_path, monkeypatch):
    monkeypatch.setattr(demo.data, "load", lambda name: tiny_fashion)
    said = io.StringIO()
    result = demo.run_demo(tmp_path, TrainConfig(epochs=1), Console(file=said, soft_wrap=True))
    assert result.http_accuracy == pytest.approx(result.test_accuracy)
    assert result.images == len(tiny_fashion.test)
    assert (tmp_path / "clothes.keras").is_file()
    assert (tmp_path / "prediction.png").read_bytes().startswith(b"\x89PNG")
    assert ModelStore(tmp_path / "models").versions("clothes") == [1]
    for word in ("1 data", "2 train", "3 store", "4 serve", "5 show", "images/s", "p99", "Next:"):
        assert word in said.getvalue()
    # Python keeps one process of its own, which watches what spawned processes share.
    left = [" ".join(child.cmdline()) for child in psutil.Process().children()]
    assert [command for command in left if "resource_tracker" not in command] == []
