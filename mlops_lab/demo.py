"""The demonstration: train, save, reload in a new process, serve, and classify every test image over HTTP."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import Progress

from mlops_lab import data, predict, show, store, train
from mlops_lab.client import Client
from mlops_lab.errors import ServerError
from mlops_lab.pipeline.serve_command import ServeCommand

CLIENTS = 4


@dataclass(frozen=True)
class Demonstration:
    """The results of the demonstration."""

    test_accuracy: float
    http_accuracy: float
    file: str
    file_bytes: int
    version: str
    versions: dict[str, str]
    url: str
    images: int
    seconds: float
    images_per_second: float
    p50_milliseconds: float
    p99_milliseconds: float
    image: str

    def to_dict(self) -> dict[str, Any]:
        """Return the results as plain values."""
        return asdict(self)

    def _repr_html_(self) -> str:
        return show.card("The main job", show.table(self.to_dict().items()))


def run_demo(out: Path, config: train.TrainConfig, console: Console) -> Demonstration:
    """Run the demonstration on all of Fashion-MNIST, and report each step.

    Parameters
    ----------
    out
        The folder for the model file, the published version and the plot.
    config
        The training configuration.
    console
        The console for the report.

    Raises
    ------
    LabError
        A step failed; neither partial files nor processes are left.
    """
    say = console.print
    dataset = data.load("fashion-mnist")
    models = store.ModelStore(out / "models")
    models.prepare("clothes")
    say(f"[bold]1 data[/]      {dataset!r}", highlight=False)

    run = train.fit(dataset, config)
    say(f"[bold]2 train[/]     test accuracy {run.metrics['test_accuracy']:.4f} in {run.seconds:.0f} s")

    file = store.save_keras(run.model, out / "clothes.keras")
    published = models.publish(run, "clothes")
    say(f"[bold]3 store[/]     {file}, {file.stat().st_size / 1024:.0f} KiB, and {published} in {models.root}")

    versions, reloaded = in_new_process(_reload, str(file), dataset.test.images[:100])
    written = ", ".join(f"{name} {number}" for name, number in versions.items())
    same = np.allclose(reloaded, predicted(run, dataset.test.images[:100]), atol=1e-6)
    if not same:
        raise ServerError("The reloaded model predicts differently.", "Check the versions: mlops-lab doctor.")
    say(f"            reloaded in a new process: written by {written}; same versions, same predictions")

    with serving(models.root) as url:
        say(f"[bold]4 serve[/]     {url}/models/clothes/{published.manifest.public()['version']}")
        answers, latencies, seconds = classify_all(url, published.version, dataset.test.images)
        correct = np.array([answer.class_index for answer in answers]) == dataset.test.labels
        p50, p99 = np.percentile(latencies, [50, 99])
        rate = len(answers) / seconds
        say(f"            {len(answers):,} test images over HTTP, one per request, {CLIENTS} concurrent clients")
        say(f"            accuracy over HTTP {correct.mean():.4f}, in process {run.metrics['test_accuracy']:.4f}")
        say(f"            {rate:.0f} images/s, p50 {p50:.1f} ms, p99 {p99:.1f} ms")

    image = out / "prediction.png"
    image.write_bytes(predict.draw_png(answers[0]))
    say(f"[bold]5 show[/]      {answers[0]}, drawn in {image}")
    say(
        f"\nNext: [bold]mlops-lab serve --models {models.root}[/] and the address that it prints, "
        "or [bold]mlops-lab start FOLDER[/] for the notebooks.",
        highlight=False,
    )
    return Demonstration(
        test_accuracy=run.metrics["test_accuracy"],
        http_accuracy=float(correct.mean()),
        file=str(file),
        file_bytes=file.stat().st_size,
        version=str(published),
        versions=versions,
        url=url,
        images=len(answers),
        seconds=seconds,
        images_per_second=rate,
        p50_milliseconds=float(p50),
        p99_milliseconds=float(p99),
        image=str(image),
    )


def predicted(run: train.TrainingRun, images: Any) -> Any:
    """Return the probabilities of the model in this process."""
    from mlops_lab.engines.keras import KerasEngine
    from mlops_lab.image import to_input

    return KerasEngine(run.model).predict(to_input(images, run.input))


def in_new_process(function: Any, *arguments: Any) -> Any:
    """Call a function in a new Python process, as after restarting a notebook's kernel."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def _reload(path: str, images: Any) -> tuple[dict[str, str], Any]:
    from mlops_lab.engines.keras import KerasEngine
    from mlops_lab.image import InputSpec, to_input
    from mlops_lab.store.keras_file import read_versions

    versions = read_versions(path)
    model = store.load_keras(path, on_mismatch="error")
    return versions, KerasEngine(model).predict(to_input(images, InputSpec(shape=(28, 28, 1), size=(28, 28))))


@contextmanager
def serving(models: Path) -> Iterator[str]:
    """Run ``mlops-lab serve`` in a separate process, and yield its URL."""
    process = ServeCommand(models)
    try:
        yield process.url
    finally:
        process.stop()


def classify_all(url: str, version: int, images: Any) -> tuple[list[predict.Prediction], list[float], float]:
    """Classify each image in its own request; return the predictions, the latencies in ms, and the total seconds."""
    shares = np.array_split(np.arange(len(images)), CLIENTS)
    with Progress(transient=True) as bar, ThreadPoolExecutor(CLIENTS) as pool:
        task = bar.add_task("classifying", total=len(images))

        def classify(share: Any) -> list[tuple[predict.Prediction, float]]:
            client = Client(url)
            found = []
            for index in share:
                answer = client.classify("clothes", version, images[index])
                found.append((answer[0], answer.milliseconds))
                bar.advance(task)
            return found

        started = time.perf_counter()
        results = [pair for part in pool.map(classify, shares) for pair in part]
        seconds = time.perf_counter() - started
    return [answer for answer, _ in results], [milliseconds for _, milliseconds in results], seconds
