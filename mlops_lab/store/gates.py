"""Gates of a promotion: whether a version may be promoted, by the evidence of its validation.

Stage 5 writes the evidence; the store only reads it, so that no way of promoting goes around a gate that failed.
"""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

from mlops_lab.errors import GateFailed, WrongUsage
from mlops_lab.store.reading import read_below
from mlops_lab.store.version import ModelVersion

FILE = "gates.toml"
EVIDENCE = "evidence/gates.json"
MAX_BYTES = 16 * 2**20
SHOWN = 5


def require_gates(version: ModelVersion) -> str:
    """Return what the evidence beside a version says, and raise where it may not be promoted.

    The rule: a version that was validated and failed is refused. One that was never validated, or could not be measured
    because its data are not here, is let through, unless the model's ``gates.toml`` says ``[promotion] validated =
    true``. Evidence that cannot be read is no evidence of a pass, so it is refused.

    Returns
    -------
    str
        ``"passed"``, ``"not measured"`` or ``"not validated"``.

    Raises
    ------
    GateFailed
        The message names the gates, by how much they failed, and the images.
    WrongUsage
        The model's ``gates.toml`` cannot be read.
    """
    again = f"mlops-lab validate {version.name} --version {version.version}"
    state, failed = _evidence(version, again)
    if failed:
        reasons = " ".join(_reason(gate) for gate in failed)
        hint = f"Fix it and publish a new version, or measure again: {again}"
        raise GateFailed(f"{version} is refused. {reasons}", hint)
    if state != "passed" and _must_be_validated(version.path.parent):
        message = f"{version} was {state}, and {version.path.parent / FILE} asks for it before a promotion."
        raise GateFailed(message, f"Run {again}")
    return state


def _evidence(version: ModelVersion, again: str) -> tuple[str, list[dict[str, Any]]]:
    """Return what is known of a version, and its gates that failed."""
    try:
        kept = json.loads(read_below(version.path, EVIDENCE, MAX_BYTES))
        if kept["passed"] is True:
            return "passed", []
        return "not measured", [dict(gate) for gate in kept["failed"]]
    except FileNotFoundError:
        return "not validated", []
    except (OSError, ValueError, LookupError, TypeError, RecursionError) as error:
        message = f"The evidence of {version}, {EVIDENCE}, cannot be read: {type(error).__name__}: {error}."
        raise GateFailed(message, f"Measure again: {again}") from error


def _must_be_validated(folder: Path) -> bool:
    try:
        found = tomllib.loads(read_below(folder, FILE, MAX_BYTES).decode()).get("promotion", {})
    except FileNotFoundError:
        return False
    except (OSError, ValueError) as error:
        message = f"{folder / FILE} cannot be read: {error}."
        raise WrongUsage(message, "Correct it, or remove it for the defaults.") from error
    return bool(isinstance(found, dict) and found.get("validated", False))


def _reason(gate: dict[str, Any]) -> str:
    by = f" (missed by {gate['missed_by']:.4f})" if gate.get("missed_by") else ""
    images = f" Images: {', '.join(map(str, gate['images'][:SHOWN]))}." if gate.get("images") else ""
    return f"{gate['section']}: {gate['name']}: {gate['message']}{by}{images}"
