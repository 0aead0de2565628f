"""Two simulated days of a shop's production: a shift at noon that is learned, and a broken camera that is not."""

from __future__ import annotations

import calendar
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from mlops_lab import data, monitor, serve
from mlops_lab.client import Client
from mlops_lab.data import Dataset, Split
from mlops_lab.errors import LabError
from mlops_lab.monitor import PredictionLog
from mlops_lab.monitor.writer import Receipt
from mlops_lab.pipeline.loop.canary import ClientAnswer
from mlops_lab.pipeline.loop.config import LoopConfig, read_config
from mlops_lab.pipeline.loop.day_report import Day, Event, Hour
from mlops_lab.pipeline.loop.decision import FIX_SOURCE, WAIT
from mlops_lab.pipeline.loop.history import LoopRun
from mlops_lab.pipeline.outcome import StageOutcome
from mlops_lab.pipeline.reporter import Reporter, SilentReporter
from mlops_lab.predict import PredictionEvent
from mlops_lab.store import ModelStore

HOUR = 3600.0
# Monday, 1 June 2026, in a shop that is open from 8 to 20.
MIDNIGHT = float(calendar.timegm((2026, 6, 1, 0, 0, 0)))
OPEN, CLOSED, NOON = 8, 20, 12
BROKEN = (24 + 10, 24 + 13)
BATCH = 5
SETTINGS = """\
# Written by mlops_lab.pipeline.day(): the settings of the loop that this shop runs.
name = "{name}"

[data]
name = "{data}"
limit = {limit}

[train]
framework = "{framework}"
epochs = {epochs}

[release]
seconds = 1.0
p99 = 2000.0
budget = 1000.0

[monitor]
log = "predictions.db"
window = {hourly}
fewest = {fewest}

[retrain]
labels = {labels}
held_out = 0.5

[canary]
share = 10
judged = 50
"""


@dataclass(frozen=True)
class Scenario:
    """The setting of a simulation: model, data, and the number of images in an hour (``hourly``)."""

    name: str
    data: str
    limit: int
    framework: str
    epochs: int
    hourly: int

    def settings(self) -> str:
        """Return the text of ``pipeline.toml``."""
        numbers = {"fewest": self.hourly // 2, "labels": 2 * self.hourly}
        return SETTINGS.format(**self.__dict__, **numbers)


GARMENTS = Scenario("clothes", "fashion-mnist", 12_000, "keras", 3, 300)
DIGITS = Scenario("digits", "digits", 900, "sklearn", 1, 250)


def day(
    folder: str | Path | None = None,
    *,
    fast: bool = False,
    seed: int = 0,
    reporter: Reporter | None = None,
    watch: Callable[[Hour], None] | None = None,
) -> Day:
    """Simulate two days of production: everything is real but the clock and the customers.

    A version is trained, tested and promoted by the loop, and a server answers with it. At noon of the first day
    customers begin to hold something before their garments (``masks``). The loop looks once an hour: it sees the harm
    without labels, asks people to judge, trains on old and new data, and brings the better version into production
    through gates and a canary. On the second day the camera is broken for three hours: all images are black. That is
    reported, and nothing is trained.

    Parameters
    ----------
    folder
        Where models, log, settings and history are kept; by default a temporary folder that is removed at the end.
    fast
        Take handwritten digits and a small network of scikit-learn in place of Fashion-MNIST and LeNet-5: no
        TensorFlow.
    seed
        Of the customers.
    reporter
        Receives the progress of each step of the loop, such as :class:`mlops_lab.pipeline.ConsoleReporter`.
    watch
        Called with each hour as it is over.

    Returns
    -------
    Day
        Its hours, its events and the runs of the loop; in a notebook it draws itself.

    Examples
    --------
    >>> simulated = day(fast=True)  # doctest: +SKIP
    >>> [event.kind for event in simulated.events]  # doctest: +SKIP
    ['promoted', 'shift', 'labels asked', 'retrained', 'canary', 'promoted', 'broken camera', 'camera repaired']
    """
    scenario = DIGITS if fast else GARMENTS
    reporter = reporter or SilentReporter()
    if folder is not None:
        return _Simulation(Path(folder), scenario, seed, reporter, watch).run()
    with tempfile.TemporaryDirectory(prefix="mlops-lab-day-") as made:
        return _Simulation(Path(made), scenario, seed, reporter, watch).run()


class _ClockedLog(PredictionLog):
    """A prediction log whose predictions bear the time of the simulation."""

    now = MIDNIGHT

    def submit(self, event: PredictionEvent) -> Receipt | bool:
        return super().submit(replace(event, time=self.now))


class _EventReporter:
    """A reporter that also passes what the loop has just done to the simulation."""

    def __init__(self, note: Callable[[StageOutcome], None], reporter: Reporter) -> None:
        self._note, self._reporter = note, reporter

    def stage_started(self, name: str, purpose: str) -> AbstractContextManager[object]:
        return self._reporter.stage_started(name, purpose)

    def stage_finished(self, outcome: StageOutcome) -> None:
        self._note(outcome)
        self._reporter.stage_finished(outcome)


class _Simulation:
    """The simulated shop: its customers, its server, its log, and the loop that runs every hour."""

    def __init__(
        self, folder: Path, scenario: Scenario, seed: int, reporter: Reporter, watch: Callable[[Hour], None] | None
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "pipeline.toml").write_text(scenario.settings(), encoding="utf-8")
        self._config: LoopConfig = read_config(folder / "pipeline.toml")
        self._scenario, self._reporter, self._watch = scenario, reporter, watch
        self._random = np.random.default_rng(seed)
        self._customers = _not_trained_on(scenario)
        self._log = _ClockedLog(folder / "predictions.db", images=True)
        self._hour, self._judging = OPEN, False
        self._hours: list[Hour] = []
        self._events: list[Event] = []
        self._runs: list[LoopRun] = []

    def run(self) -> Day:
        started = time.perf_counter()
        self._run_loop(until="load")
        store = ModelStore(self._config.models)
        try:
            with serve.start(store, name="the shop's production", log=self._log) as server:
                self._client = Client(server.url)
                release = replace(self._config.release, url=server.url)
                self._config = replace(self._config, release=release)
                self._run_loop()
                while self._hour < 24 + CLOSED:
                    self._ask()
                    self._run_loop()
        finally:
            self._log.close()
        spent = time.perf_counter() - started
        return Day(self._scenario.name, tuple(self._hours), tuple(self._events), tuple(self._runs), spent)

    def _run_loop(self, until: str = "") -> None:
        """Run the loop once, and record its result."""
        from mlops_lab.pipeline.loop.running import run_loop  # its imports are the deepest of all

        before = len(self._runs)
        run = run_loop(self._config, _EventReporter(self._note_step, self._reporter), traffic=self._ask, until=until)
        self._runs.append(run)
        if before and self._hours:
            self._note_drift(run)
        if run.state in ("refused", "rolled back", "stuck"):
            self._happened(run.state, run.reason)

    def _note_step(self, outcome: StageOutcome) -> None:
        kind = {"collect": "retrained", "canary": "canary", "promote": "promoted"}.get(outcome.name)
        if kind is not None and outcome.state == "passed":
            moved = outcome.message.split("; ")[1:2] if kind == "promoted" else [outcome.message]
            self._happened(kind, moved[0])

    def _note_drift(self, run: LoopRun) -> None:
        found = next((one.evidence["verdict"] for one in run.outcomes if one.name == "drift" and one.evidence), None)
        action = {"waiting for labels": WAIT, "broken source": FIX_SOURCE}.get(run.state, run.state)
        if found is not None:
            low, high = found["estimate"]["interval"]
            estimate = found["estimate"]["accuracy"]
            place = next(i for i, one in enumerate(self._hours) if one.start == self._looked_at)
            self._hours[place] = replace(self._hours[place], estimate=estimate, low=low, high=high, action=action)
        if run.state == "waiting for labels" and not self._judging:
            self._judging = True
            self._happened("labels asked", run.reason)
        broken = run.state == "broken source"
        if broken and not any(one.kind == "broken camera" for one in self._events):
            self._happened("broken camera", run.reason)
        if run.state == "released":
            self._judging = False

    def _happened(self, kind: str, text: str) -> None:
        self._events.append(Event(MIDNIGHT + HOUR * self._hour, kind, text))

    def _ask(self) -> list[ClientAnswer]:
        """Simulate an hour: customers send images, and people judge the answers where they are asked to."""
        if self._hour % 24 >= CLOSED:
            self._hour += 24 - CLOSED + OPEN
        start = MIDNIGHT + HOUR * self._hour
        drawn, world = self._draw()
        seen: list[ClientAnswer] = []
        for place in range(0, len(drawn), BATCH):
            self._log.now = start + HOUR * place / len(drawn)
            seen += self._send(Split(drawn.images[place : place + BATCH], drawn.labels[place : place + BATCH]))
        self._log.flush()  # what the loop looks at next is this hour, whole
        self._hour += 1
        served = Counter(one.version for one in seen if one.version is not None)
        hour = Hour(
            start, world, len(seen), sum(bool(one.right) for one in seen), len(seen) - served.total(), dict(served)
        )
        self._hours.append(hour)
        self._looked_at = hour.start
        if self._watch:
            self._watch(hour)
        return seen

    def _send(self, images: Split) -> list[ClientAnswer]:
        try:
            said = self._client.classify(self._scenario.name, "production", images.images)
        except LabError:
            return [ClientAnswer(None)] * len(images)
        number = int(said.response["version"].removeprefix("v"))
        if self._judging:
            for place, label in enumerate(images.labels.tolist()):
                with suppress(LabError):
                    self._log.feedback(said.headers["X-Request-Id"], said[0].labels[label], place=place)
        right = [one.class_index == label for one, label in zip(said, images.labels.tolist(), strict=True)]
        return [ClientAnswer(number, bool(one), said.milliseconds) for one in right]

    def _draw(self) -> tuple[Split, str]:
        """Return what customers send in this hour."""
        chosen = self._random.choice(len(self._customers), self._scenario.hourly, replace=False)
        drawn = Split(self._customers.images[chosen], self._customers.labels[chosen])
        if self._hour < NOON:
            return drawn, "as before"
        if self._hour == NOON:
            self._happened("shift", "customers hold something before their garments")
        if BROKEN[0] <= self._hour < BROKEN[1]:
            return Split(np.zeros_like(drawn.images), drawn.labels), "black"
        if self._hour == BROKEN[1]:
            self._happened("camera repaired", "images show something again")
        return monitor.disturb(drawn, "masks", 0.8, seed=int(self._random.integers(1 << 31))), "masks"


def _not_trained_on(scenario: Scenario) -> Split:
    """Return images that neither trained nor tested the first version."""
    whole = data.load(scenario.data)
    used = data.load(scenario.data, limit=scenario.limit)
    return _without(whole, used)


def _without(whole: Dataset, used: Dataset) -> Split:
    known = {image.tobytes() for image in used.train.images}
    free = np.array([image.tobytes() not in known for image in whole.train.images])
    return Split(whole.train.images[free], whole.train.labels[free])
