"""The decision on an alarm of the monitor: do nothing, repair the source, wait for labels, or train again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mlops_lab.pipeline.loop.source import SourceFinding

if TYPE_CHECKING:
    from mlops_lab.monitor import Verdict

NOTHING, FIX_SOURCE, WAIT, RETRAIN = "nothing", "fix the source", "wait for labels", "retrain"


@dataclass(frozen=True)
class Decision:
    """A decision and its reason.

    Parameters
    ----------
    action
        ``"nothing"``, ``"fix the source"``, ``"wait for labels"`` or ``"retrain"``.
    reason
        In one sentence.
    labels_needed
        How many more predictions people should judge.

    Examples
    --------
    >>> Decision("nothing", "it is as on the reference").to_dict()["action"]
    'nothing'
    """

    action: str
    reason: str
    labels_needed: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return {"action": self.action, "reason": self.reason, "labels_needed": self.labels_needed}


def decide(verdict: Verdict, source: SourceFinding, labelled: int, *, needed: int) -> Decision:
    """Return what to do.

    A broken source comes first: it is no news about the model, and no data. Then harm decides, not change. Training
    waits until people have judged enough predictions of the new world.

    Parameters
    ----------
    verdict
        Of :func:`mlops_lab.monitor.compare`.
    source
        Of :func:`~mlops_lab.pipeline.loop.source.examine_source`.
    labelled
        How many predictions were judged.
    needed
        How many there must be.
    """
    if source.broken:
        return Decision(FIX_SOURCE, source.message)
    if not verdict.harmful:
        return Decision(NOTHING, verdict.reason)
    if labelled < needed:
        missing = needed - labelled
        return Decision(
            WAIT, f"{verdict.reason}; {missing:,} more judged predictions are needed to learn from", missing
        )
    return Decision(RETRAIN, verdict.reason)
