"""A model that was trained elsewhere, by any framework that exports ONNX, made ready to be published."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlops_lab import show
from mlops_lab.data import Split
from mlops_lab.errors import WrongUsage
from mlops_lab.image import InputSpec, describe
from mlops_lab.store import safety
from mlops_lab.store.trial import trial_load


@dataclass(frozen=True, eq=False)
class ImportedModel:
    """A model from elsewhere, ready for :meth:`ModelStore.publish`; :func:`from_onnx` makes it."""

    model: bytes = field(repr=False)
    input: InputSpec
    labels: tuple[str, ...]
    examples: NDArray[Any] = field(repr=False)
    metrics: Mapping[str, float] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)
    framework: str = "onnx"
    seed: int | None = None
    held_out: Split | None = field(default=None, repr=False)

    def _repr_html_(self) -> str:
        rows = [
            ("size", f"{len(self.model):,} bytes"),
            ("takes", describe(self.input)),
            ("classes", ", ".join(self.labels)),
            *self.metrics.items(),
        ]
        return show.card(f"A model to publish ({self.framework})", show.table(rows))


def from_onnx(
    model: str | Path | bytes,
    *,
    input: InputSpec,
    labels: Sequence[str],
    examples: NDArray[Any],
    metrics: Mapping[str, float] | None = None,
    held_out: Split | None = None,
    output: str | None = None,
    trust: bool = False,
) -> ImportedModel:
    """Return an ONNX model, of PyTorch or whatever else, ready for :meth:`ModelStore.publish`.

    Parameters
    ----------
    model
        The file or its bytes. It is audited; what was audited is what is published.
    input
        The input of the model, and how images are turned into it.
    labels
        The names of its classes, in the order of its output.
    examples
        Some images, or arrays where the model takes no images; the golden examples are made of them.
    metrics
        Its metrics, such as ``{"test_accuracy": 0.91}``.
    held_out
        Examples that it was not trained on, with their classes: what it does on them is kept beside the version, and
        the monitor holds production against it.
    output
        The output that answers, where the graph has several; the others are left out of what is published.
    trust
        Whether you know who made the file: spares the trial in a limited child process.

    Raises
    ------
    UnsafeFile
        The file is not an ONNX model, does more than hold one, or failed its trial.
    WrongUsage
        There are no examples, or no output of that name.

    Examples
    --------
    >>> from mlops_lab.image import InputSpec
    >>> digits = from_onnx(  # doctest: +SKIP
    ...     "digits.onnx", input=InputSpec(shape=(64,), size=(8, 8), high=16), labels="0123456789", examples=images
    ... )
    >>> ModelStore("models").publish(digits, "digits")  # doctest: +SKIP
    """
    if len(examples) == 0:
        raise WrongUsage("There are no examples.", "Pass a few inputs, so that the store can keep golden examples.")
    source = safety.read(model if isinstance(model, bytes) else Path(model), max_bytes=safety.HARD_LIMIT)
    report = safety.audit(source, max_bytes=safety.HARD_LIMIT)
    if report.format != "onnx":
        raise WrongUsage(f"The file is {report.format}, not ONNX.", "Export the model to ONNX first.")
    if not trust:
        trial_load(source.data, format="onnx").require_passed()
    content = source.data if output is None else _with_output(source.data, output)
    return ImportedModel(content, input, tuple(labels), np.asarray(examples), dict(metrics or {}), held_out=held_out)


def _with_output(model: bytes, name: str) -> bytes:
    """Return an ONNX model with one of its outputs, once it has it."""
    import onnx as format

    from mlops_lab.store.intake.onnx_model import keep_output

    loaded = format.load_from_string(model)
    names = [item.name for item in loaded.graph.output]
    if name not in names:
        raise WrongUsage(f"The model has no output {name!r}.", f"It has: {', '.join(names)}.")
    keep_output(loaded.graph, name)
    return bytes(loaded.SerializeToString())
