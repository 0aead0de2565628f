"""The stages of a release, in order: functions from the release's context to a result, which raise on failure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from mlops_lab.errors import LabError
from mlops_lab.pipeline import held_out
from mlops_lab.pipeline.environment import Environment, wait_until
from mlops_lab.pipeline.outcome import version_label
from mlops_lab.pipeline.plan import ReleasePlan
from mlops_lab.store import ModelStore
from mlops_lab.store.aliases import move_alias
from mlops_lab.store.version import ModelVersion
from mlops_lab.validate import Report, assess, check_acceptance, check_contract, keep, measure_load
from mlops_lab.validate.target import ServerUnderTest, expect

FIGURES = ("accuracy", "latency")


@dataclass(frozen=True)
class StageResult:
    """The result of a stage that passed: one line, and the measurements behind it."""

    message: str
    evidence: Mapping[str, Any] = field(default_factory=dict)


class StageFailed(LabError):
    """A stage ran to its end and the version does not meet a requirement; the measurements are kept too."""

    code = "stage_failed"

    def __init__(self, message: str, evidence: Mapping[str, Any]) -> None:
        super().__init__(message)
        self.evidence = evidence


@dataclass
class ReleaseContext:
    """The state that the stages share: the plan, the versions, the environment, and the progress."""

    plan: ReleasePlan
    store: ModelStore
    version: ModelVersion
    before: ModelVersion | None
    environment: Environment
    staging: str = ""
    touched: bool = False


def production(context: ReleaseContext) -> StageResult:
    """Check production as it is now, so that there is a state to return to."""
    url, alias = context.environment.production(), context.plan.alias
    if context.before is None:
        return StageResult(f"{url} has no version in {alias} yet", {"url": url})
    target = ServerUnderTest(url, context.before, alias, api_key=context.plan.api_key)
    wait_until(lambda: target.client.info(target.name, alias), context.plan.ready_seconds)
    report = check_contract(url, context.before, address=alias, kind="lab", api_key=context.plan.api_key)
    # A production that fails its checks does not stop the release: the new version may repair it.
    return StageResult(f"{url} is {target.number}; {report.summary}", report.to_dict())


def build(context: ReleaseContext) -> StageResult:
    """Check that clients of production can go on as they do, build what will run, and check every file of it."""
    differs = held_out.new_signature(context.version, context.before)
    if differs and not context.plan.new_signature:
        message = f"clients of {context.before} would have to change: {differs}; release it with --new-signature"
        raise StageFailed(message, {"changes": differs})
    built = context.environment.build(context.version)
    return StageResult(f"{built}; a new signature: {differs}" if differs else built, {"changes": differs})


def staging(context: ReleaseContext) -> StageResult:
    """Start the version on a staging server, and wait until it is ready."""
    context.staging = context.environment.start_staging()
    target = ServerUnderTest(context.staging, context.version, f"v{context.version.version}")
    try:
        wait_until(lambda: target.get("/readyz"), context.plan.ready_seconds)
    except LabError as error:
        log = context.environment.last_log_lines()
        raise StageFailed(f"{error.message} {log}".strip(), {"url": context.staging, "log": log}) from error
    return StageResult(f"ready at {context.staging}", {"url": context.staging})


def integration(context: ReleaseContext) -> StageResult:
    """Check on staging everything that clients rely on."""
    return require_passed(check_contract(context.staging, context.version, kind="lab"))


def acceptance(context: ReleaseContext) -> StageResult:
    """Classify the test images over HTTP, and compare the accuracy with the manifest's and with production's."""
    plan = context.plan
    own, figures_of = _measured(context) if plan.data else ("", {})
    expected = replace(plan.expected, accuracy=0.0) if plan.data else plan.expected
    report = check_acceptance(context.staging, context.version, expected, baseline=context.before)
    result = require_passed(report)
    figures = [check.message for check in report.checks if check.state == "passed" and check.name in FIGURES]
    said = "; ".join([result.message, *([own] if own else []), *figures])
    return StageResult(said, {**result.evidence, "metrics": figures_of})


def _measured(context: ReleaseContext) -> tuple[str, dict[str, float]]:
    """Return the metrics on the plan's own data, in words too, once they are good enough."""
    plan = context.plan
    found = held_out.measured(plan.data, context.version, context.store.trusted)
    if not found:
        raise StageFailed(f"{context.version} cannot be measured on {plan.data}: its task has no metric", {})
    before = held_out.production_metrics(plan.data, context.before, context.store.trusted)
    problems = held_out.shortfalls(found, before, plan.expected)
    if problems:
        raise StageFailed("; ".join(problems), {"metrics": found, "production": before})
    return held_out.summary(plan.data, found), found


def gates(context: ReleaseContext) -> StageResult:
    """Hold data, quality, groups and behaviour against the thresholds, and write the evidence and the model card."""
    # Versions whose data are not here are released as before; what can be measured of them was measured above.
    found = assess(context.version, baseline=context.before, server=False, required=False)
    keep(context.version, found)
    if found.failed:
        reasons = "; ".join(f"{gate.section} {gate.name}: {gate.message}" for gate in found.failed)
        raise StageFailed(reasons, found.to_dict())
    return StageResult(found.summary, found.to_dict())


def load(context: ReleaseContext) -> StageResult:
    """Send requests to staging from several concurrent clients."""
    target = ServerUnderTest(context.staging, context.version, f"v{context.version.version}")
    result = measure_load(target.client, context.version.name, target.address, target.images, context.plan.load)
    if not result.passed:
        raise StageFailed(result.reason, result.to_dict())
    return StageResult(result.summary, result.to_dict())


def promote(context: ReleaseContext) -> StageResult:
    """Check that production has loaded the version, and only then move the alias."""
    admitted = context.environment.admit(context.version)
    why = context.plan.why or "every stage of the pipeline passed"
    context.touched = True
    context.store.promote(context.version.name, context.version.version, context.plan.alias, why=why)
    switched = context.environment.switch(context.version)
    before, now = version_label(_number(context.before)), version_label(context.version.version)
    return StageResult(f"{admitted}; {context.plan.alias} moved from {before} to {now}; {switched}")


def verify(context: ReleaseContext) -> StageResult:
    """Check that production answers with the new version, and passes the checks that staging passed."""
    return check_production(context, context.version)


def roll_back(context: ReleaseContext) -> StageResult:
    """Restore the previous version, and check that production answers with it."""
    why, before = f"{version_label(context.version.version)} failed in production", context.before
    if context.store.aliases(context.version.name).get(context.plan.alias) == context.version.version:
        folder, number = context.store.root / context.version.name, _number(before)
        move_alias(folder, context.plan.alias, number, event="rolled back", why=why)
    context.environment.switch(before)
    if before is None:
        return StageResult(f"{context.plan.alias} is removed again: there was none before")
    return check_production(context, before)


def check_production(context: ReleaseContext, version: ModelVersion) -> StageResult:
    """Wait until production answers with a version, and check the contract there."""
    url, alias = context.environment.production(), context.plan.alias
    target = ServerUnderTest(url, version, alias, api_key=context.plan.api_key)
    wait_until(lambda: _expect_version(target), context.plan.switch_seconds)
    result = require_passed(check_contract(url, version, address=alias, kind="lab", api_key=context.plan.api_key))
    return StageResult(f"{url}/models/{version.name}/{alias} is {target.number}; {result.message}", result.evidence)


def _expect_version(target: ServerUnderTest) -> None:
    """Raise unless an address describes itself as a version and also classifies with it."""
    described = target.client.info(target.name, target.address)["version"]
    expect(described == target.number, f"{target.path} is {described}, not {target.number}")
    answered = target.client.classify(target.name, target.address, target.images[0]).response["version"]
    expect(answered == target.number, f"{target.path} is answered by {answered}, not {target.number}")


def require_passed(report: Report) -> StageResult:
    """Return a report that passed as a result, and raise for one that failed.

    Raises
    ------
    StageFailed
        A check failed; the message names it and the reason.
    """
    if not report.passed:
        reasons = "; ".join(f"{check.name}: {check.message.rstrip('.')}" for check in report.failed)
        raise StageFailed(f"{report.summary}. {reasons}", report.to_dict())
    return StageResult(report.summary, report.to_dict())


def _number(version: ModelVersion | None) -> int | None:
    return None if version is None else version.version


Stage = Callable[[ReleaseContext], StageResult]
STAGES: tuple[Stage, ...] = (production, build, staging, integration, acceptance, gates, load, promote, verify)
