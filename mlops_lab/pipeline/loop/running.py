"""The loop: from data to production, from drift to a better version, and back."""

from __future__ import annotations

from pathlib import Path

from mlops_lab.files import write_atomically
from mlops_lab.pipeline.local import Start
from mlops_lab.pipeline.loop import candidate as making
from mlops_lab.pipeline.loop import production, watching
from mlops_lab.pipeline.loop.canary import Traffic
from mlops_lab.pipeline.loop.config import LoopConfig, read_config
from mlops_lab.pipeline.loop.engine import Loop
from mlops_lab.pipeline.loop.history import LoopEnded, LoopRun, require_step
from mlops_lab.pipeline.reporter import Reporter, SilentReporter


def run_loop(
    config: LoopConfig | str | Path,
    reporter: Reporter | None = None,
    *,
    traffic: Traffic | None = None,
    start: Start | None = None,
    until: str = "",
) -> LoopRun:
    """Run the life cycle once: bring a version into production, look at it, and train a better one where it is needed.

    A step whose inputs are as before is not run again, so a run that was killed goes on where it was, and where nothing
    has happened nothing is done.

    Parameters
    ----------
    config
        The settings, or the path of ``pipeline.toml``.
    reporter
        Receives the progress of each step; by default nothing is reported.
    traffic
        What clients see while a canary is on; by default examples that were held out are sent.
    start
        A function that starts a server over a folder of models; by default as a process.
    until
        A step after which to stop.

    Returns
    -------
    LoopRun
        What was done and why. Where something is refused, production is as it was.

    Raises
    ------
    WrongUsage
        The settings cannot be read, or ask for a training that is refused.
    StoreError
        Another loop works in the same folder.

    Examples
    --------
    >>> run_loop("pipeline.toml").state  # doctest: +SKIP
    'released'
    """
    settings = config if isinstance(config, LoopConfig) else read_config(config)
    if until:
        require_step(until)
    with Loop(settings, reporter or SilentReporter(), traffic, start, until) as loop:
        try:
            _run(loop)
        except LoopEnded as end:
            loop.end(end.state, end.reason)
        except BaseException as error:
            loop.end("refused", f"it was interrupted: {type(error).__name__}")
            raise
    return loop.run


def _run(loop: Loop) -> None:
    """Run every step in order; whatever ends the loop is raised."""
    first = making.build(loop, making.prepare_data(loop))
    production.promote(loop, first)
    fresh = _unfinished(loop)
    if not fresh:
        _, seen = watching.look(loop)
        watching.judge(loop, seen)
        fresh = watching.collect(loop, seen)
    # Noted before production is touched: after a kill the same version is brought to its end before anything else.
    write_atomically(_note(loop), fresh.encode())
    try:
        better = making.build(loop, fresh)
        production.try_canary(loop, better)
        production.promote(loop, better)
        raise LoopEnded("released", f"v{better.number} is in production, trained on old and new data")
    except LoopEnded as end:
        if end.state not in ("stopped", "stuck"):  # of one that is stuck production may still be the version
            _note(loop).unlink(missing_ok=True)
        raise


def _note(loop: Loop) -> Path:
    return loop.config.work / "unfinished"


def _unfinished(loop: Loop) -> str:
    """Return the checksum of the data of a better version that was being made when the loop was killed."""
    try:
        return _note(loop).read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return ""
