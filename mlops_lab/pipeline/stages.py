"""The stages of a release, in order. Each is a function from the work to what was seen, and raises where it fails."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from mlops_lab.errors import LabError
from mlops_lab.pipeline.environment import Environment, wait_until
from mlops_lab.pipeline.outcome import word
from mlops_lab.pipeline.plan import Plan
from mlops_lab.store import ModelStore
from mlops_lab.store.aliases import move_alias
from mlops_lab.store.version import ModelVersion
from mlops_lab.validate import Report, assess, check_acceptance, check_contract, keep, measure_load
from mlops_lab.validate.target import Target, expect

FIGURES = ("accuracy", "latency")


@dataclass(frozen=True)
class Seen:
    """What a stage saw: one line, and the figures behind it."""

    says: str
    evidence: Mapping[str, Any] = field(default_factory=dict)


class Refused(LabError):
    """A stage that ran to its end and found the version wanting; the figures are kept too."""

    code = "refused"

    def __init__(self, says: str, evidence: Mapping[str, Any]) -> None:
        super().__init__(says)
        self.evidence = evidence


@dataclass
class Work:
    """What the stages share: what is released, where, and how far it has come."""

    plan: Plan
    store: ModelStore
    version: ModelVersion
    before: ModelVersion | None
    environment: Environment
    staging: str = ""
    touched: bool = False


def production(work: Work) -> Seen:
    """Look at what answers now, so that there is something to go back to."""
    url, alias = work.environment.production(), work.plan.alias
    if work.before is None:
        return Seen(f"{url} has no version in {alias} yet", {"url": url})
    target = Target(url, work.before, alias, api_key=work.plan.api_key)
    wait_until(lambda: target.client.info(target.name, alias), work.plan.ready_seconds)
    report = check_contract(url, work.before, address=alias, kind="lab", api_key=work.plan.api_key)
    # A production that is not well is no reason to keep it: the new version may be what mends it.
    return Seen(f"{url} is {target.number}; {report.summary}", report.to_dict())


def build(work: Work) -> Seen:
    """Make what will run, and check every file of the version."""
    return Seen(work.environment.build(work.version))


def staging(work: Work) -> Seen:
    """Start it where nobody else sees it, and wait until it is ready."""
    work.staging = work.environment.start_staging()
    target = Target(work.staging, work.version, f"v{work.version.version}")
    try:
        wait_until(lambda: target.get("/readyz"), work.plan.ready_seconds)
    except LabError as error:
        words = work.environment.last_words()
        raise Refused(f"{error.message} {words}".strip(), {"url": work.staging, "said": words}) from error
    return Seen(f"ready at {work.staging}", {"url": work.staging})


def integration(work: Work) -> Seen:
    """Ask staging everything that clients rely on."""
    return judged(check_contract(work.staging, work.version, kind="lab"))


def acceptance(work: Work) -> Seen:
    """Classify the test images over HTTP, and compare with what was promised and with production."""
    report = check_acceptance(work.staging, work.version, work.plan.expected, baseline=work.before)
    seen = judged(report)
    figures = [check.message for check in report.checks if check.state == "passed" and check.name in FIGURES]
    return Seen("; ".join([seen.says, *figures]), seen.evidence)


def gates(work: Work) -> Seen:
    """Hold data, quality, groups and behaviour against the thresholds, and write the evidence and the model card."""
    # Versions whose data are not here are released as before; what can be measured of them was measured above.
    found = assess(work.version, baseline=work.before, server=False, required=False)
    keep(work.version, found)
    if found.failed:
        raise Refused(
            "; ".join(f"{gate.section} {gate.name}: {gate.message}" for gate in found.failed), found.to_dict()
        )
    return Seen(found.summary, found.to_dict())


def load(work: Work) -> Seen:
    """Let several clients ask staging at once."""
    target = Target(work.staging, work.version, f"v{work.version.version}")
    result = measure_load(target.client, work.version.name, target.address, target.images, work.plan.load)
    if not result.passed:
        raise Refused(result.reason, result.to_dict())
    return Seen(result.summary, result.to_dict())


def promote(work: Work) -> Seen:
    """Let production have the version before anybody asks for it, and only then move the alias."""
    admitted = work.environment.admit(work.version)
    why = work.plan.why or "the pipeline found it good"
    work.touched = True
    work.store.promote(work.version.name, work.version.version, work.plan.alias, why=why)
    switched = work.environment.switch(work.version)
    moved = f"{work.plan.alias} moved from {word(_number(work.before))} to {word(work.version.version)}"
    return Seen(f"{admitted}; {moved}; {switched}")


def verify(work: Work) -> Seen:
    """Ask production whether it answers with the new version, and as well as staging did."""
    return verified(work, work.version)


def roll_back(work: Work) -> Seen:
    """Put the former version back, and ask production whether it answers with it."""
    why, before = f"{word(work.version.version)} failed in production", work.before
    if work.store.aliases(work.version.name).get(work.plan.alias) == work.version.version:
        folder, number = work.store.root / work.version.name, _number(before)
        move_alias(folder, work.plan.alias, number, event="rolled back", why=why)
    work.environment.switch(before)
    if before is None:
        return Seen(f"{work.plan.alias} is taken away again: there was none before")
    return verified(work, before)


def verified(work: Work, version: ModelVersion) -> Seen:
    """Return what production says once the alias leads to a version."""
    url, alias = work.environment.production(), work.plan.alias
    target = Target(url, version, alias, api_key=work.plan.api_key)
    wait_until(lambda: _leads_to(target), work.plan.switch_seconds)
    seen = judged(check_contract(url, version, address=alias, kind="lab", api_key=work.plan.api_key))
    return Seen(f"{url}/models/{version.name}/{alias} is {target.number}; {seen.says}", seen.evidence)


def _leads_to(target: Target) -> None:
    """Raise unless an address is answered by a version: both when it describes itself, and when it classifies."""
    told = target.client.info(target.name, target.address)["version"]
    expect(told == target.number, f"{target.path} is {told}, not {target.number}")
    said = target.client.classify(target.name, target.address, target.images[0]).response["version"]
    expect(said == target.number, f"{target.path} is answered by {said}, not {target.number}")


def judged(report: Report) -> Seen:
    """Return a good report as something seen; a bad one is a reason to refuse."""
    if not report.passed:
        reasons = "; ".join(f"{check.name}: {check.message.rstrip('.')}" for check in report.failed)
        raise Refused(f"{report.summary}. {reasons}", report.to_dict())
    return Seen(report.summary, report.to_dict())


def _number(version: ModelVersion | None) -> int | None:
    return None if version is None else version.version


Stage = Callable[[Work], Seen]
STAGES: tuple[Stage, ...] = (production, build, staging, integration, acceptance, gates, load, promote, verify)
