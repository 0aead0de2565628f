"""Run the examples of a model, and infer its signature from what comes out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from mlops_lab.data import Dataset
from mlops_lab.errors import LabError, WrongUsage
from mlops_lab.inputs import TEXT, InputSpec, convert
from mlops_lab.signature import OutputSpec, Signature, Task
from mlops_lab.store.golden import inputs_of
from mlops_lab.store.golden_arrays import Arrays
from mlops_lab.store.intake.inputs import fitted_input, input_spec, named_examples, raw_examples
from mlops_lab.store.intake.outputs import Labels, check_answers, output_spec
from mlops_lab.store.intake.quiet import brief
from mlops_lab.store.intake.recognise import recognised
from mlops_lab.store.intake.scoring import read_held_out, score
from mlops_lab.store.intake.source import OutputInfo, Prepared, Slot, Source

MOST_EXAMPLES = 256


def from_run(run: Any) -> Prepared:
    """Return what a training run, or :func:`mlops_lab.store.from_onnx`, made.

    Raises
    ------
    WrongUsage
        The model does not take its examples, or has not one class for each label.
    """
    if run.framework not in ("keras", "scikit-learn", "onnx"):
        raise WrongUsage(
            f"A {run.framework!r} model cannot be published.", "Publish a Keras, scikit-learn or ONNX model."
        )
    source = recognised(run.model, framework=run.framework)
    examples = {run.input.name: run.examples}
    known = _signature(source, (run.input,), examples, run.labels, "classification")
    held_out = getattr(run, "held_out", None)
    about = (run.metrics, run.settings, run.data, run.seed)
    return Prepared(source, known[0], examples, *about, tuple(known[1]), held_out)


def prepare(
    model: Any,
    *,
    examples: Any = None,
    labels: Labels = None,
    data: Any = None,
    input: InputSpec | None = None,
    task: Task | None = None,
    trust: bool = False,
) -> Prepared:
    """Return a model from anywhere, its signature inferred: see :meth:`mlops_lab.store.ModelStore.publish`."""
    source = model if isinstance(model, Source) else recognised(model, trust=trust)
    test = None if data is None else read_held_out(data)
    if examples is None and test is None:
        message = f"A {type(model).__name__} alone cannot be published: its input, labels and examples are not known."
        raise WrongUsage(message, "Pass examples=X, some inputs as its own predict takes them; or data=dataset.")
    given = input or (test.input if test is not None and examples is None else None)
    if given is not None and input is None:
        given = fitted_input(given, source.inputs[0] if len(source.inputs) == 1 else None, source.scales)
    taken = examples if examples is not None or test is None else test.first(MOST_EXAMPLES)
    specs, raw = _inputs(source, taken, given)
    labels = labels if labels is not None or test is None or not test.classes else test.labels(source)
    signature, notes = _signature(source, specs, raw, labels, task)
    metrics: dict[str, float] = {}
    if test is not None:
        metrics = score(source, signature, test)
    about = {} if test is None else test.about
    kept = {name: array[:MOST_EXAMPLES] for name, array in raw.items()}
    settings = {"model": type(model).__name__ if not isinstance(model, bytes | str) else source.framework}
    # Whose classes are numbered as the model numbers them.
    alike = isinstance(data, Dataset) and [one.labels for one in signature.outputs] == [tuple(data.classes)]
    held_out = data.test if alike else None
    return Prepared(source, signature, kept, metrics, settings, about, None, tuple(notes), held_out)


def _inputs(source: Source, examples: Any, given: InputSpec | None) -> tuple[tuple[InputSpec, ...], Arrays]:
    """Return the inputs, and the examples before preprocessing."""
    if given is not None:
        return (given,), {given.name: np.asarray(examples)[:MOST_EXAMPLES]}
    arrays, columns = named_examples(examples, source.inputs)
    arrays = {name: array[:MOST_EXAMPLES] for name, array in arrays.items()}
    slots = source.inputs or tuple(Slot(name) for name in arrays)
    specs = [input_spec(slot, array, columns) for slot, array in zip(slots, arrays.values(), strict=True)]
    arrays = {spec.name: convert(array, spec) for spec, array in zip(specs, arrays.values(), strict=True)}
    raw = raw_examples(arrays, specs)
    if len(specs) == 1 and specs[0].name == "input" and specs[0].size:
        specs, raw = [replace(specs[0], name="image")], {"image": raw["input"]}
    return tuple(specs), raw


def _signature(
    source: Source, specs: tuple[InputSpec, ...], raw: Arrays, labels: Labels, task: Task | None
) -> tuple[Signature, list[str]]:
    """Return the signature of a model, from its answers to its examples."""
    length = len(next(iter(raw.values())))
    for slot, declared in zip(source.inputs, specs, strict=False):
        _check_type(slot, declared)
    inputs = inputs_of(specs, raw)
    answers = _ask(source, inputs, specs)
    check_answers(answers, length)
    if labels is not None and not isinstance(labels, Mapping):
        _check_only([name for name, array in answers.items() if _takes_labels(array, labels)])
    outputs: list[OutputSpec] = []
    notes: list[str] = []
    for name, array in answers.items():
        own = labels.get(name) if isinstance(labels, Mapping) else labels
        info = source.output_infos.get(name) or _only(source, answers)
        if isinstance(labels, Mapping) or len(answers) == 1 or _takes_labels(array, labels):
            spec, said = output_spec(name, array, info, own, task)
        else:
            spec, said = output_spec(name, array, info, None, None)
        outputs.append(spec)
        notes += said
    if isinstance(labels, Mapping) and set(labels) - set(answers):
        message = f"There are labels for {', '.join(labels)}; the outputs are {', '.join(answers)}."
        raise WrongUsage(message, "Name the outputs as the model does.")
    return Signature(specs, tuple(outputs), source.max_batch), notes


def _check_type(slot: Slot, spec: InputSpec) -> None:
    """Raise where a model of whole numbers would be given fractions, which it would cut off."""
    if not slot.dtype or TEXT in (slot.dtype, spec.dtype):
        return
    if np.dtype(slot.dtype).kind in "iu" and np.dtype(spec.dtype).kind == "f":
        scaled = f" scaled to {spec.low:g}–{spec.high:g}" if spec.size else ""
        message = f"The input {slot.name!r} of the model takes {slot.dtype}; it was described as {spec.dtype}{scaled}."
        pixels = ", high=255" if spec.size else ""
        raise WrongUsage(message, f"Describe it as InputSpec(…, dtype={slot.dtype!r}{pixels}).")


def _check_only(names: list[str]) -> None:
    """Raise where labels could be those of several outputs."""
    if len(names) > 1:
        message = f"The labels could be those of several outputs: {', '.join(names)}."
        hint = f"Name the output that has classes: labels={{{names[-1]!r}: …}}; in from_onnx, output={names[-1]!r}."
        raise WrongUsage(message, hint)


def _only(source: Source, answers: Mapping[str, Any]) -> Any:
    return next(iter(source.output_infos.values())) if len(source.output_infos) == len(answers) == 1 else OutputInfo()


def _takes_labels(array: Any, labels: Sequence[str] | None) -> bool:
    """Return whether labels that belong to no named output could be those of this one."""
    return labels is not None and array.ndim == 2 and array.shape[1] == len(labels)


def _ask(source: Source, inputs: Arrays, specs: tuple[InputSpec, ...]) -> Arrays:
    length = len(next(iter(inputs.values())))
    try:
        return source.ask(inputs)
    except LabError:
        raise
    except Exception as error:  # frameworks raise whatever they like on a shape that is not theirs
        shapes = ", ".join(str(spec.shape) for spec in specs)
        message = f"The model does not take its {length} examples of shape {shapes}: {brief(error)}."
        raise WrongUsage(message, "Pass examples as the model's own predict takes them.") from error
