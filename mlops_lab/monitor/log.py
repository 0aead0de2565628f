"""The prediction log: what each version answered, when, and later whether it was right.

No image and no address is kept unless images are asked for: of an image twelve statistics are, and the probabilities.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops_lab.data import Split
from mlops_lab.errors import BadRequest, LabError, NotFound, StoreError, nearest
from mlops_lab.monitor import rollup, rows
from mlops_lab.monitor.database import Database, connect, failures
from mlops_lab.monitor.lookup import find_prediction, find_version, list_versions
from mlops_lab.monitor.retention import Retention, remove
from mlops_lab.monitor.rows import LoggedModel
from mlops_lab.monitor.schema import migrate
from mlops_lab.monitor.status import LogStatus, shown
from mlops_lab.monitor.writer import LINGER, SHORT_LINGER, GroupWriter, Receipt
from mlops_lab.predict import PredictionEvent
from mlops_lab.summary.scale import Scale
from mlops_lab.summary.summary import Summary
from mlops_lab.summary.window import Window

if TYPE_CHECKING:
    from flask import Flask


# Between two looks at what the retention does not allow any more.
TRIM_SECONDS = 600


class PredictionLog:
    """Predictions in SQLite, or in PostgreSQL: ``append``, ``feedback``, ``read``, ``summaries`` and ``trim``.

    A thread writes them in groups, so a prediction waits for nothing; whatever happens to the disk, a prediction never
    fails because of it. What could not be written is counted in :attr:`status`.

    Parameters
    ----------
    target
        A file, or a ``postgresql://`` address.
    durable
        :meth:`append` returns once its group is on the disk. Without it, what was appended in the last 0.2 seconds
        (and what waits in the queue, where the disk is slow) is lost if the program is killed.
    images
        Keep the images too, at the model's size, for ``retention.image_days``.
    retention
        What is removed when.
    patience
        Seconds that a durable :meth:`append` waits at most for a slow disk; for one that fails it waits no longer
        than it takes to notice.
    scales
        Returns the bins of a version's reference. With it, predictions are summarised before they are removed.

    Examples
    --------
    >>> from mlops_lab import serve
    >>> log = PredictionLog("predictions.db")  # doctest: +SKIP
    >>> server = serve.start("models", log=log)  # doctest: +SKIP
    """

    def __init__(
        self,
        target: str | Path,
        *,
        durable: bool = False,
        images: bool = False,
        retention: Retention | None = None,
        patience: float = 5.0,
        scales: Callable[[str, int], Scale | None] | None = None,
    ) -> None:
        self.target, self.durable, self.images = target, durable, images
        self.retention, self.patience, self._scales = retention or Retention(), patience, scales
        self._failures = failures()
        self._database: Database | None = None
        self._known: set[tuple[str, int]] = set()
        self._trimmed = time.monotonic()
        self._trimming = threading.Lock()
        self.checked = False  # whether somebody has looked if it can be written, whatever came of that
        self._writer: GroupWriter[PredictionEvent] = GroupWriter(
            self._write,
            self._failures,
            max_items=20_000,
            max_bytes=64 << 20,
            linger=SHORT_LINGER if durable else LINGER,
            regular=durable,
        )

    def append(self, event: PredictionEvent) -> bool:
        """Take a prediction; with ``durable``, wait until it is on the disk.

        Returns
        -------
        bool
            Whether it was taken; with ``durable``, whether it is written. It never raises.
        """
        taken = self.submit(event)
        return taken if isinstance(taken, bool) else taken.wait()

    def submit(self, event: PredictionEvent) -> Receipt | bool:
        """Take a prediction, and return at once; it never raises.

        Returns
        -------
        Receipt or bool
            With ``durable``, what an answer waits for; else whether the prediction was taken.
        """
        number, size = rows.size_of(event)
        receipt = Receipt(self._writer, number, self.patience) if self.durable else None
        taken = self._writer.put(event, number, size, receipt)
        return taken if receipt is None else receipt

    @property
    def nonblocking(self) -> bool:
        """Whether :meth:`append` returns at once, so that an event loop may call it."""
        return not self.durable

    def attach(self, app: Flask) -> None:
        """Give a server of :func:`mlops_lab.serve.create_app` the log's routes, metrics and details; it calls this."""
        from mlops_lab.monitor.serving import attach_log

        attach_log(app, self)

    def check(self) -> None:
        """Open the log, and make it where it is missing.

        Raises
        ------
        StoreError
            It cannot be written, or a newer release wrote it; while that is so, predictions are counted as failed.
        """
        self.checked = True
        with self._opened(make=True):
            pass

    def feedback(self, request_id: str, label: str, *, place: int = 0, model: str | None = None) -> None:
        """Note what was right for a prediction; a second word on the same one replaces the first.

        Parameters
        ----------
        request_id
            The ``X-Request-Id`` of the answer.
        label
            The name of the right class.
        place
            Which image of the request, from 0.
        model
            Where one request asked several models.

        Raises
        ------
        NotFound
            No prediction of that id is in the log.
        BadRequest
            The model has no such class.
        """
        self.flush(1.0)
        try:
            self._note(request_id, label, place, model)
        except NotFound:  # it may be in the hands of another writer: another process of the server, say
            time.sleep(2 * LINGER)
            self._note(request_id, label, place, model)

    def models(self) -> list[LoggedModel]:
        """Return the versions that the log knows, in order."""
        with self._opened() as database:
            return list_versions(database)

    def read(
        self,
        model: str,
        version: int | None = None,
        *,
        since: float = 0.0,
        until: float = float("inf"),
        last: int | None = None,
    ) -> Window:
        """Return predictions of one version, oldest first.

        Parameters
        ----------
        model, version
            Whose; by default of the newest version that the log knows.
        since, until
            Seconds since 1970; the second is not included.
        last
            Only so many, the newest.

        Raises
        ------
        UnknownModel, UnknownVersion
            The log holds none of its predictions.
        """
        return rows.to_window(*self._select(rows.COLUMNS, model, version, since, last, "time < ?", until))

    def examples(self, model: str, version: int | None = None, *, since: float = 0.0, last: int | None = None) -> Split:
        """Return the images that people have judged, with what was right, oldest first.

        Parameters
        ----------
        model, version, since
            As for :meth:`read`.
        last
            Only so many, the newest.

        Returns
        -------
        Split
            None where the log keeps no images: ``PredictionLog(…, images=True)`` does.

        Raises
        ------
        UnknownModel, UnknownVersion
            The log holds none of its predictions.
        """
        judged = "truth >= 0 AND image IS NOT NULL"
        return rows.to_split(self._select("image, truth", model, version, since, last, judged)[1])

    def summaries(
        self, scale: Scale, model: str, version: int | None = None, *, since: float = 0.0, until: float = float("inf")
    ) -> list[tuple[int, Summary]]:
        """Return one summary for each hour, oldest first, and keep those of complete hours.

        What is kept outlives the predictions themselves. The hours that ``since`` and ``until`` lie in are whole.

        Parameters
        ----------
        scale
            The bins and features of the version's reference: ``reference.scale``.
        model, version
            As for :meth:`read`.
        since, until
            Seconds since 1970.

        Returns
        -------
        list of (int, Summary)
            Hours since 1970, and what was answered in them.
        """
        self.flush(1.0)
        with self._opened() as database:
            logged = find_version(database, model, version)
            return rollup.by_hour(database, logged, scale, since, until)

    def trim(self) -> int:
        """Remove what is older or more than the retention allows; return how many predictions went."""
        with self._opened() as database:
            self._summarise_before_removal(database)
            return remove(database, self.retention)

    @property
    def status(self) -> LogStatus:
        """What became of the predictions so far."""
        return LogStatus(shown(self.target), **asdict(self._writer.counts), queued=self._writer.queued)

    def flush(self, timeout: float = 10.0) -> bool:
        """Wait until what was appended so far is written or given up; tell whether that came in time."""
        return self._writer.flush(timeout)

    def close(self) -> None:
        """Write what is left, and close the file."""
        self._writer.close()
        if self._database is not None:
            self._database.close()
            self._database = None

    def __enter__(self) -> PredictionLog:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<PredictionLog {shown(self.target)}: {self.status.written:,} written>"

    def _repr_html_(self) -> str:
        return self.status._repr_html_()

    def _select(
        self, columns: str, model: str, version: int | None, since: float, last: int | None, more: str, *values: float
    ) -> tuple[LoggedModel, list[tuple[Any, ...]]]:
        """Return a version and columns of its predictions for which more holds, oldest first, and only the newest."""
        self.flush(1.0)
        limit = "" if last is None else f" LIMIT {int(last)}"
        sql = (
            f"SELECT {columns} FROM predictions WHERE model = ? AND version = ? AND time >= ? AND {more} "
            f"ORDER BY time DESC, id DESC{limit}"
        )
        with self._opened() as database:
            found = find_version(database, model, version)
            return found, database.run(sql, (model, found.version, since, *values))[::-1]

    def _note(self, request_id: str, label: str, place: int, model: str | None) -> None:
        with self._opened() as database, database.transaction():
            row_id, name, version, said, before, moment = find_prediction(database, request_id, place, model)
            labels = find_version(database, name, version).labels
            if said is None:
                raise BadRequest(f"{name} v{version} answers no classes.", "Feedback names the right class.")
            if label not in labels:
                raise BadRequest(f"{name} v{version} has no class {label!r}.", nearest(label, labels))
            truth = labels.index(label)
            database.run("UPDATE predictions SET truth = ? WHERE id = ?", (truth, row_id))
            counted = (int(before is None), int(truth == said) - int(before is not None and before == said))
            rollup.correct(database, (row_id, name, version, moment), *counted)

    def _write(self, events: list[PredictionEvent]) -> tuple[int, int]:
        """Write a group in one transaction; the writer's thread alone comes here."""
        wanted = rows.to_rows(events, with_images=self.images)
        versions = {(event.predictor.name, event.predictor.version): event for event in events}
        try:
            database = self._writing()
            with database.transaction():
                for version in versions.keys() - self._known:
                    database.run(rows.INSERT_MODEL, rows.model_row(versions[version]))
                written = database.insert("predictions", rows.WRITTEN, wanted)
            self._known |= versions.keys()
        except BaseException:
            self._forget()
            raise
        self._trim_sometimes()
        return written, len(wanted) - written

    def _summarise_before_removal(self, database: Database) -> None:
        for logged in list_versions(database) if self._scales else []:
            scale = self._scales(logged.model, logged.version) if self._scales else None
            if scale is not None:
                rollup.keep(database, logged, scale, float("inf"))

    def _writing(self) -> Database:
        if self._database is not None and not self._database.is_current():
            self._forget()  # somebody removed the file: what is written from now on goes into a new one
        if self._database is None:
            self._database = connect(self.target, durable=self.durable)
            migrate(self._database)
        return self._database

    def _forget(self) -> None:
        if self._database is not None:
            with suppress(*self._failures):
                self._database.close()
        self._database, self._known = None, set()

    def _trim_sometimes(self) -> None:
        if time.monotonic() - self._trimmed > TRIM_SECONDS and self._trimming.acquire(blocking=False):
            self._trimmed = time.monotonic()
            threading.Thread(target=self._trim_aside, name="mlops-lab-log-trimming", daemon=True).start()

    def _trim_aside(self) -> None:
        # Whatever becomes of this, predictions are written: a version may be gone, and its scale with it.
        try:
            with suppress(LabError, *self._failures):
                self.trim()
        finally:
            self._trimming.release()

    @contextmanager
    def _opened(self, *, make: bool = False) -> Iterator[Database]:
        if not make and "://" not in str(self.target) and not Path(self.target).exists():
            message = f"There is no prediction log {self.target}."
            raise StoreError(message, "mlops-lab serve --log FILE writes one, from its first prediction on.")
        database = connect(self.target, durable=self.durable)
        try:
            migrate(database)
            yield database
        except LabError:
            raise
        except self._failures as error:
            message = f"The prediction log {shown(self.target)} cannot be used: {error}."
            raise StoreError(
                message, "Look at the disk and at the programs that hold the file, and try again."
            ) from error
        finally:
            database.close()


@contextmanager
def opened(log: PredictionLog | str | Path) -> Iterator[PredictionLog]:
    """Give an open log as it is; open a file or an address, and close it after use."""
    if isinstance(log, PredictionLog):
        yield log
        return
    with PredictionLog(log) as found:
        yield found
