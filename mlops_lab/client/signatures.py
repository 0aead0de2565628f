"""The signature in TensorFlow Serving's metadata, as inputs and outputs."""

from __future__ import annotations

from typing import Any

from mlops_lab.errors import WrongShape
from mlops_lab.inputs import TEXT, InputSpec
from mlops_lab.signature import OutputSpec, Signature

FRACTIONS = {"DT_HALF": "float16", "DT_FLOAT": "float32", "DT_DOUBLE": "float64"}
DTYPES = FRACTIONS | {
    **{"DT_STRING": TEXT, "DT_BOOL": "bool"},
    **{f"DT_{kind}{bits}": f"{kind.lower()}{bits}" for kind in ("INT", "UINT") for bits in (8, 16, 32, 64)},
}


def tensor_shape(tensor: dict[str, Any]) -> tuple[int | None, ...]:
    """Return the shape of one example of a tensor in a signature; ``None`` for a side of any length.

    Examples
    --------
    >>> tensor_shape({"tensor_shape": {"dim": [{"size": "-1"}, {"size": "28"}, {"size": "-1"}]}})
    (28, None)
    """
    sides = [int(side["size"]) for side in tensor.get("tensor_shape", {}).get("dim", ())][1:]
    return tuple(None if side < 1 else side for side in sides)


def read_whole(name: str, signature: dict[str, Any], labels: tuple[str, ...]) -> Signature:
    """Return the inputs and outputs of a signature: a classifier's, where it has one input that the client can fill.

    What the numbers of other outputs mean a signature does not say: their task is ``"other"``.
    """
    try:
        return Signature.classifier(read_signature(name, signature), labels)
    except WrongShape:
        inputs, outputs = signature.get("inputs", {}), signature.get("outputs", {})
        if not inputs or not {tensor.get("dtype") for tensor in (*inputs.values(), *outputs.values())} <= DTYPES.keys():
            raise
    taken = (InputSpec(tensor_shape(one), None, key, dtype=DTYPES[one["dtype"]]) for key, one in inputs.items())
    given = (
        OutputSpec(key, "other", tensor_shape(one), DTYPES[one["dtype"]], "tensor") for key, one in outputs.items()
    )
    return Signature(tuple(taken), tuple(given))


def read_signature(name: str, signature: dict[str, Any]) -> InputSpec:
    """Return the input of a signature. The range of a pixel is not part of it: 0–1 is assumed.

    Examples
    --------
    >>> sides = [{"size": "-1"}, {"size": "28"}, {"size": "28"}, {"size": "1"}]
    >>> read_signature("m", {"inputs": {"x": {"dtype": "DT_FLOAT", "tensor_shape": {"dim": sides}}}}).size
    (28, 28)
    """
    inputs = signature.get("inputs", {})
    tensor: dict[str, Any] = next(iter(inputs.values()), {})
    shape = tuple(int(side["size"]) for side in tensor.get("tensor_shape", {}).get("dim", ()))[1:]
    if len(inputs) != 1 or tensor.get("dtype") not in FRACTIONS or not shape or min(shape) < 1:
        taken = ", ".join(f"{key} {value.get('dtype')}" for key, value in inputs.items()) or "nothing"
        message = f"The model {name!r} takes {taken} of shape {shape}; the client supports one input of"
        raise WrongShape(f"{message} numbers of a fixed shape.", "Send the request with the requests package.")
    grey, colour = len(shape) == 2 or shape[2:] == (1,), shape[2:] == (3,)
    size = (shape[0], shape[1]) if grey or colour else None
    return InputSpec(
        shape, size, next(iter(inputs)), mode="rgb" if colour else "grey", dtype=FRACTIONS[tensor["dtype"]]
    )


def read_classes(signature: dict[str, Any]) -> tuple[str, ...]:
    """Return the numbers of the classes as labels, where the signature's output tells how many there are.

    Examples
    --------
    >>> read_classes({"outputs": {"output_0": {"tensor_shape": {"dim": [{"size": "-1"}, {"size": "2"}]}}}})
    ('0', '1')
    """
    output: dict[str, Any] = next(iter(signature.get("outputs", {}).values()), {})
    sides = output.get("tensor_shape", {}).get("dim", ())
    return tuple(map(str, range(int(sides[-1]["size"])))) if len(sides) == 2 else ()
