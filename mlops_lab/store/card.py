"""The README of a version: what it takes and answers, and the line that asks it just that."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlops_lab.inputs import InputSpec, describe, sides
from mlops_lab.signature import OutputSpec
from mlops_lab.store.manifest import ModelManifest

HOST = "http://127.0.0.1:8000"
MOST_NUMBERS = 64  # of an example that is written out


def readme(manifest: ModelManifest) -> str:
    """Return the text of a version's README.md."""
    takes = "\n".join(f"- `{spec.name}`: {describe(spec)}" for spec in manifest.signature.inputs)
    answers = "\n".join(f"- `{spec.name}`: {describe_output(spec)}" for spec in manifest.signature.outputs)
    metrics = "\n".join(f"| {name.replace('_', ' ')} | {value:.4f} |" for name, value in manifest.metrics.items())
    table = f"| metric | value |\n|---|---|\n{metrics}\n" if metrics else "No metrics were measured.\n"
    notes_listed = [*manifest.notes, *([str(manifest.data["note"])] if manifest.data.get("note") else [])]
    notes = "".join(f"\n- {note.removesuffix('.')}." for note in notes_listed)
    batch = manifest.signature.max_batch
    fixed = f"\nThe model computes {batch} at a time; the server splits and joins other batches.\n" if batch else ""
    data, settings = manifest.data.get("name"), json.dumps(manifest.training)
    made = f"Made with {manifest.framework}{(data and f', and measured on {data}') or ''}: `{settings}`"
    if manifest.seed is not None:  # trained by this library, and the data are those that it was trained on
        made = f"Trained with {manifest.framework} on {data or 'unnamed data'}, seed {manifest.seed}: `{settings}`"
    versions = ", ".join(f"{name} {number}" for name, number in manifest.versions.items())
    return f"""# {manifest.name} v{manifest.version}

{manifest.description or f"A model for {manifest.signature.task}."}

It takes

{takes}

and answers

{answers}
{fixed}{notes and f"{notes}" + chr(10)}
{table}
{manifest.number_of_parameters:,} parameters, of which {manifest.trainable_parameters:,} are weights that training
moves and {manifest.optimizer_parameters:,} belong to the optimizer. {made}.

Written by {versions}.

Ask it: `{curl(manifest)}`
"""


def describe_output(spec: OutputSpec) -> str:
    """Return one sentence on what an output is.

    Examples
    --------
    >>> describe_output(OutputSpec("y", "binary", (1,), labels=("no", "yes")))
    'binary: the probability of one of 2 classes: no, yes'
    """
    first = ", which are the first axis" if spec.classes_first else ""
    if spec.labels:
        names = ", ".join(spec.labels[:20]) + (", …" if len(spec.labels) > 20 else "")
        each = "each" if spec.task == "multilabel" else "one"
        applied = f", by the {spec.activation} of its logits" if spec.activation != "none" else ""
        return f"{spec.task}: the probability of {each} of {len(spec.labels)} classes{first}: {names}{applied}"
    return f"{spec.task}: {spec.dtype} of shape {sides(spec.shape)}{first}"


def curl(manifest: ModelManifest) -> str:
    """Return the line that sends one example to a server on this machine."""
    address = f"{HOST}/models/{manifest.name}/v{manifest.version}"
    first = manifest.signature.inputs[0]
    if len(manifest.signature.inputs) == 1 and first.size:
        return f'curl --data-binary @image.png -H "Content-Type: image/png" {address}'
    examples = {spec.name: _one(spec, manifest.golden.examples[spec.name]) for spec in manifest.signature.inputs}
    body: Any = {name: [example] for name, example in examples.items()}
    if len(examples) == 1:
        body = next(iter(body.values()))
    text = json.dumps({"inputs": body}).replace("'", "\\u0027")
    return f"curl --json '{text}' {address}"


def _one(spec: InputSpec, array: NDArray[Any]) -> Any:
    """Return the first example as JSON has it; one that is long as zeros of the smallest shape, or cut."""
    example = array[0]
    if isinstance(example, str):
        return example[:200]
    if np.size(example) > MOST_NUMBERS:
        example = spec.zeros()[0]
    return np.asarray(example).tolist()
