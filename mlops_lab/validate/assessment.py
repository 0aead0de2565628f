"""Decide whether a version may be promoted: measure it, hold it against the thresholds, keep the evidence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any

from mlops_lab import show
from mlops_lab.errors import LabError
from mlops_lab.findings import ICONS
from mlops_lab.predict import Predictor
from mlops_lab.provenance import user_name, utc_now
from mlops_lab.store.gates import FILE
from mlops_lab.store.version import ModelVersion, load_version
from mlops_lab.validate.acceptance import Expected, check_acceptance
from mlops_lab.validate.contract import check_contract
from mlops_lab.validate.gates import Gate, read_gates
from mlops_lab.validate.judgement import judge, judge_server
from mlops_lab.validate.measured import Measured, find_data, measure, read_examples
from mlops_lab.validate.report import Report

DATA_HINT = "Pass them: --data test.npz with the arrays images and labels."


@dataclass(frozen=True, eq=False)
class Assessment:
    """The result of validation: each gate, and everything that was measured.

    Parameters
    ----------
    name, version
        The version.
    gates
        Every threshold held against what was measured.
    thresholds
        The thresholds as they were read.
    measured
        The results behind the gates; ``None`` where nothing could be measured.
    server
        The reports of the checks of a server.
    facts
        What the manifest tells, for the card.
    when, by
        The time, and who ran it.

    Examples
    --------
    >>> gate = Gate(False, "The accuracy is 0.1.", section="quality", name="accuracy")
    >>> Assessment("clothes", 2, (gate,), {}).summary
    'clothes v2 is refused: 1 of 1 gates failed: quality accuracy'
    """

    name: str
    version: int
    gates: tuple[Gate, ...]
    thresholds: Mapping[str, Any]
    measured: Measured | None = None
    server: tuple[Report, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict, repr=False)
    when: str = ""
    by: str = ""

    @property
    def passed(self) -> bool:
        """Whether at least one gate was held, and none failed."""
        return not self.failed and any(gate.passed for gate in self.gates)

    @property
    def failed(self) -> tuple[Gate, ...]:
        """The gates that failed."""
        return tuple(gate for gate in self.gates if gate.passed is False)

    @property
    def summary(self) -> str:
        """One line: the decision, and the gates that failed."""
        held = sum(gate.passed is not None for gate in self.gates)
        if self.failed:
            names = ", ".join(f"{gate.section} {gate.name}" for gate in self.failed)
            return f"{self.name} v{self.version} is refused: {len(self.failed)} of {held} gates failed: {names}"
        decision = "passes" if self.passed else "could not be measured:"
        return f"{self.name} v{self.version} {decision} {held} gates"

    def to_dict(self) -> dict[str, Any]:
        """Return the decision and its gates as plain values; the measurements are in :meth:`evidence`."""
        gates = [gate.to_dict() for gate in self.gates]
        who = {"name": self.name, "version": f"v{self.version}", "when": self.when, "by": self.by}
        failed = [gate.to_dict() for gate in self.failed]
        kept = {"passed": self.passed, "summary": self.summary, **who, "failed": failed, "gates": gates}
        return {**kept, "thresholds": {section: dict(values) for section, values in self.thresholds.items()}}

    def evidence(self) -> dict[str, Any]:
        """Return everything that is kept beside the version, by the name of its file."""
        found: dict[str, Any] = {"gates": self.to_dict(), "model": dict(self.facts)}
        if self.measured:
            results = {name: getattr(self.measured, name) for name in ("data", "quality", "behaviour", "robustness")}
            found |= {name: result.to_dict() for name, result in results.items() if result is not None}
            found["groups"] = {one.attribute: one.to_dict() for one in self.measured.groups}
            if self.measured.comparison:
                found["comparison"] = self.measured.comparison.to_dict()
        if self.server:
            found["server"] = {report.title: report.to_dict() for report in self.server}
        return found

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.summary}>"

    def __str__(self) -> str:
        rows = [
            f"  {gate.state:7}  {gate.section}: {gate.name}: {gate.message}{'' if gate.passed else f' → {gate.hint}'}"
            for gate in self.gates
        ]
        return "\n".join([*rows, self.summary])

    def _repr_html_(self) -> str:
        rows = [
            (
                show.Html(show.state(ICONS[gate.state], gate.state)),
                gate.section,
                gate.name,
                show.Html("".join(f"<div>{part}</div>" for part in gate.parts())),
            )
            for gate in sorted(self.gates, key=lambda gate: gate.passed is not False)
        ]
        table = show.table(rows, ("state", "part", "gate", "what was seen"))
        state = show.state("ok", "passed") if self.passed else show.state("error", "refused")
        opened = f"<details {'' if self.passed else 'open'}><summary>All gates</summary>{table}</details>"
        return (
            show.card(f"May {self.name} v{self.version} be promoted?", f"{state} {escape(self.summary)}", opened)
            + self._results()
        )

    def _results(self) -> str:
        if self.measured is None:
            return ""
        found = self.measured
        parts = [found.quality, *found.groups, found.robustness, found.behaviour, found.comparison, found.data]
        return "".join(part._repr_html_() for part in parts if part is not None)


def assess(
    version: ModelVersion,
    *,
    gates: str | Path | None = None,
    data: str | Path | None = None,
    baseline: ModelVersion | None = None,
    server: bool | None = None,
    required: bool | None = None,
    images: int = 500,
) -> Assessment:
    """Measure a version on disk and hold it against the thresholds.

    Parameters
    ----------
    version
        From :meth:`mlops_lab.store.ModelStore.get`.
    gates
        A TOML file of thresholds; by default ``gates.toml`` in the model's folder where there is one.
    data
        An ``.npz`` file of labelled images, where the version's data are not among those of :mod:`mlops_lab.data`.
    baseline
        The version in production, to compare with.
    server
        Whether the version is served in the background and checked over HTTP; by default as the thresholds say.
    required
        Whether a version whose data are not here is refused; by default as the thresholds say.
    images
        How many images are changed by the tests of behaviour.

    Returns
    -------
    Assessment

    Raises
    ------
    WrongUsage
        The thresholds or the data cannot be read.

    Examples
    --------
    >>> from mlops_lab import store
    >>> assess(store.ModelStore("models").get("digits", 1), server=False, images=100).passed
    True
    """
    own = version.path.parent / FILE
    thresholds = read_gates(gates or (own if own.is_file() else None))
    kept: dict[str, Any] = {"thresholds": thresholds, "facts": _facts(version), "when": utc_now(), "by": user_name()}
    try:
        predictor = load_version(version, on_mismatch="ignore")
    except LabError as error:
        gate = Gate(False, error.message, error.hint, section="load", name="load")
        return Assessment(version.name, version.version, (gate,), **kept)
    needed = bool(thresholds["data"]["required"]) if required is None else required
    measured, found = _measured(version, predictor, thresholds, data, baseline, needed, images)
    served = bool(thresholds["server"]["required"]) if server is None else server
    reports = _served(version, predictor, thresholds) if served else ()
    every = (*found, *judge_server(list(reports)))
    return Assessment(version.name, version.version, every, measured=measured, server=reports, **kept)


def _measured(
    version: ModelVersion, predictor: Predictor, thresholds: dict[str, dict[str, Any]], data: str | Path | None,
    baseline: ModelVersion | None, required: bool, images: int,
) -> tuple[Measured | None, list[Gate]]:  # fmt: skip
    """Return what was measured and its gates; one gate that says why, where nothing can be."""
    manifest = version.manifest
    dataset, groups = read_examples(data, manifest) if data else (find_data(manifest), {})
    if dataset is None:
        message = f"{version} cannot be measured: its data, {manifest.data.get('name') or 'not named'}, are not here."
        return None, [Gate(False if required else None, message, DATA_HINT, section="data", name="data set")]
    before = None
    if baseline is not None and baseline.version != version.version:
        before = load_version(baseline, on_mismatch="ignore")
    try:
        found = measure(predictor, dataset, thresholds, baseline=before, groups=groups, images=images)
    except LabError as error:
        return None, [Gate(False, error.message, error.hint, section="quality", name="labels")]
    promised = None if data else manifest.metrics.get("test_accuracy")
    if promised is not None and len(dataset.test) != manifest.data.get("test", len(dataset.test)):
        promised = None  # it was measured on a sample; on the whole split another figure is no broken promise
    return found, list(judge(found, thresholds, promised))


def _served(version: ModelVersion, predictor: Predictor, thresholds: dict[str, dict[str, Any]]) -> tuple[Report, ...]:
    """Serve the version in the background, and check what its clients rely on and how long one image takes."""
    from mlops_lab import serve

    with serve.start(serve.create_app([predictor]), name=f"validate {version}") as running:
        contract = check_contract(running.url, version, kind="lab")
        expected = Expected(milliseconds=float(thresholds["server"]["milliseconds"]))
        return contract, check_acceptance(running.url, version, expected)


def _facts(version: ModelVersion) -> dict[str, Any]:
    """Return what the manifest tells and a card repeats."""
    manifest = version.manifest
    names = ("description", "framework", "versions", "number_of_parameters", "trainable_parameters", "created", "seed")
    kept = {name: getattr(manifest, name) for name in names}
    lists = {"labels": list(manifest.labels), "metrics": dict(manifest.metrics), "training": dict(manifest.training)}
    about = {key: value for key, value in manifest.data.items() if isinstance(value, str | int | float)}
    takes = {"data": about, "input": manifest.input.to_dict()}
    return {"name": version.name, "version": version.version, **kept, **lists, **takes}
