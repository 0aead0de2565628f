"""What a server's log says of each version just now, for ``/metrics``: so that an alarm can ring on harm."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from mlops_lab.errors import LabError
from mlops_lab.monitor.log import PredictionLog
from mlops_lab.monitor.reference import load_reference
from mlops_lab.monitor.rows import LoggedModel
from mlops_lab.monitor.verdict import FEWEST, Verdict, compare
from mlops_lab.store import ModelStore

_log = logging.getLogger("mlops_lab.monitor")
# However often /metrics is read, the log is looked at once in so many seconds; and not at all where nobody reads it.
EVERY_SECONDS = 60.0
# As `mlops-lab monitor drift` does by default.
NEWEST = 1000
# A version that has not been asked for so long is not watched: nothing that rings for it could be answered.
QUIET_SECONDS = 24 * 3600.0
LABELS = ("model", "version")
# Name, meaning and value of each metric.
GAUGES: tuple[tuple[str, str, Callable[[Verdict], float]], ...] = (
    ("changed", "1 where the newest predictions differ from the reference by more than chance.", lambda v: v.changed),
    ("harmful", "1 where the version is probably less often right than it was.", lambda v: v.harmful),
    ("estimated_accuracy", "The accuracy of the newest predictions.", lambda v: v.estimate.accuracy),
    ("trusted", "1 where the estimated accuracy can be believed.", lambda v: v.estimate.trust),
    ("expected_accuracy", "The accuracy on the reference.", lambda v: v.expected),
    ("labels_needed", "Predictions to have judged, to know the accuracy to 5 points.", lambda v: v.labels_needed),
    ("predictions", "How many predictions the verdict is on.", lambda v: v.predictions),
)


class LogVerdicts(Collector):
    """The verdict on the newest predictions of each version, as Prometheus reads it.

    Reading it starts a thread where the last look is too old, and waits for nothing: the first scrape has no verdict.

    Parameters
    ----------
    log
        The server's log.
    models
        The store of its models, for their references. A version without one has no verdict.

    Examples
    --------
    >>> [metric.name for metric in LogVerdicts(PredictionLog("unused.db"), ModelStore("models")).describe()][:2]
    ['mlops_lab_monitor_changed', 'mlops_lab_monitor_harmful']
    """

    def __init__(self, log: PredictionLog, models: ModelStore) -> None:
        self._log, self._models = log, models
        self._looking = threading.Lock()
        self._looked: float | None = None
        self._known: dict[tuple[str, int], Verdict] = {}

    def describe(self) -> Iterator[GaugeMetricFamily]:
        """Yield every metric without a value; ``prometheus_client`` calls this when it is told of this collector."""
        return (GaugeMetricFamily(f"mlops_lab_monitor_{name}", text, labels=LABELS) for name, text, _ in GAUGES)

    def collect(self) -> Iterator[Metric]:
        """Yield every metric; ``prometheus_client`` calls this."""
        old = self._looked is None or time.monotonic() - self._looked > EVERY_SECONDS
        if old and self._looking.acquire(blocking=False):
            threading.Thread(target=self._refresh_in_background, name="mlops-lab-verdicts", daemon=True).start()
        known = self._known
        for family, (_, _, value) in zip(self.describe(), GAUGES, strict=True):
            for (model, version), verdict in known.items():
                family.add_metric((model, f"v{version}"), float(value(verdict)))
            yield family

    def look(self) -> None:
        """Compare the newest predictions of each version with its reference."""
        self._known = {
            (one.model, one.version): verdict for one in self._log.models() if (verdict := self._judge(one)) is not None
        }

    def _refresh_in_background(self) -> None:
        try:
            self.look()
        except (LabError, ImportError) as error:  # the log cannot be read, or a package is missing
            _log.warning("/metrics has no verdict: %s", error)
            self._known = {}
        finally:
            self._looked = time.monotonic()
            self._looking.release()

    def _judge(self, one: LoggedModel) -> Verdict | None:
        try:
            reference = load_reference(self._models, one.model, one.version)
        except LabError:  # it has none, or is gone: /monitor says how to make one
            return None
        newest = self._log.read(one.model, one.version, since=time.time() - QUIET_SECONDS, last=NEWEST)
        return compare(reference, newest) if len(newest) >= FEWEST else None
