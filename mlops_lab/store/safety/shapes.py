"""Rules for the shapes of the weights and of the output of each kind of layer.

A rule takes the layer's configuration and the shape that reaches it (batch first, ``None`` where a size is open) and
returns the shapes of the weights and the shape of the answer. ``None`` for either means "not followed": then the
file's own claim is used, and the trial load in a limited process has the last word.
"""

from __future__ import annotations

from math import prod
from typing import Any

from mlops_lab.store.safety.spatial import SPATIAL, Config, Rule, Shape, Weights, bias

SAME = """
Activation ActivityRegularization AlphaDropout Dropout ELU GaussianDropout GaussianNoise Identity LeakyReLU Masking
ReLU Rescaling Softmax SpatialDropout1D SpatialDropout2D SpatialDropout3D ThresholdedReLU UnitNormalization
RandomFlip RandomRotation RandomZoom RandomContrast RandomBrightness RandomTranslation RandomShear RandomHue
RandomSaturation RandomColorJitter RandomColorDegeneration RandomGaussianBlur RandomGrayscale RandomErasing
RandomInvert RandomPosterization RandomSharpness RandomPerspective RandomElasticTransform Solarization AutoContrast
Equalization
"""
SAME_SHAPE = frozenset(SAME.split())
MERGES = frozenset(["Add", "Average", "Maximum", "Minimum", "Multiply", "Subtract"])


def layer_shapes(kind: str, config: Config, shape: Any) -> tuple[Weights, Any]:
    """Return the weights' shapes and the answer's shape of one layer."""
    if kind == "InputLayer":
        batch = config.get("batch_shape") or config.get("batch_input_shape")
        return (), tuple(batch) if isinstance(batch, list) else None
    if kind in SAME_SHAPE:
        return (), shape
    if kind in MERGES:
        return (), _broadcast(shape)
    if kind not in RULES or shape is None:
        return None, None
    return RULES[kind](config, shape)


def _broadcast(shapes: Any) -> Any:
    if not isinstance(shapes, list) or any(s is None for s in shapes):
        return None
    rank = max(len(s) for s in shapes)
    padded = [(1,) * (rank - len(s)) + s for s in shapes]
    return tuple(next((size for size in sizes if size != 1), 1) for sizes in zip(*padded, strict=True))


def _flatten(config: Config, shape: Shape) -> tuple[Weights, Any]:
    return (), (shape[0], _product(shape[1:]))


def _product(sizes: Shape) -> int | None:
    known = [size for size in sizes if size is not None]
    return prod(known) if len(known) == len(sizes) else None


def _reshape(config: Config, shape: Shape) -> tuple[Weights, Any]:
    target, total = list(config["target_shape"]), _product(shape[1:])
    if -1 in target:
        rest = prod(size for size in target if size not in (-1, None))
        target[target.index(-1)] = total // rest if total is not None and rest else None
    return (), (shape[0], *target)


def _permute(config: Config, shape: Shape) -> tuple[Weights, Any]:
    return (), (shape[0], *(shape[axis] for axis in config["dims"]))


def _repeat(config: Config, shape: Shape) -> tuple[Weights, Any]:
    return (), (shape[0], config["n"], shape[1])


def _concatenate(config: Config, shape: Any) -> tuple[Weights, Any]:
    if not isinstance(shape, list) or any(s is None for s in shape):
        return (), None
    axis = config.get("axis", -1) % len(shape[0])
    sizes = [s[axis] for s in shape]
    total = None if any(size is None for size in sizes) else sum(sizes)
    return (), (*shape[0][:axis], total, *shape[0][axis + 1 :])


def _adapted(config: Config) -> bool:
    """Return whether a layer holds more weights than its class implies: low-rank ones, or scales of small numbers."""
    dtype = config.get("dtype")
    policy = dtype.get("class_name", "") if isinstance(dtype, dict) else dtype
    small = (
        isinstance(policy, str)
        and policy not in ("DTypePolicy", "FloatDTypePolicy")
        and (policy.endswith("Policy") or "_from_" in policy)
    )
    return bool(config.get("lora_rank") or config.get("quantization_config") or small)


def _dense(config: Config, shape: Shape) -> tuple[Weights, Any]:
    units = config["units"]
    if _adapted(config):
        return None, (*shape[:-1], units)
    return ((shape[-1], units), *bias(config, units)), (*shape[:-1], units)


def _embedding(config: Config, shape: Shape) -> tuple[Weights, Any]:
    rows, columns = config["input_dim"], config["output_dim"]
    plain = not _adapted(config)
    return ((rows, columns),) if plain else None, (*shape, columns)


def _einsum_dense(config: Config, shape: Shape) -> tuple[Weights, Any]:
    equation, sizes = config["equation"].replace("...", "").replace(" ", ""), {}
    if "..." in config["equation"] or _adapted(config):
        return None, None
    inputs, _, rest = equation.partition(",")
    kernel, _, output = rest.partition("->")
    answer = (shape[0], *config["output_shape"])
    sizes = dict(zip(output, answer, strict=True)) | dict(zip(inputs, shape, strict=True))
    bias = config.get("bias_axes")
    named = dict(zip(output, answer, strict=True)) | sizes
    first = min((output.index(letter) for letter in bias), default=0) if bias else 0
    biases = (tuple(named[c] if c in bias else 1 for c in output[first:]),) if bias else ()
    return (tuple(sizes[c] for c in kernel), *biases), tuple(named[c] for c in output)


def _batch_norm(config: Config, shape: Shape) -> tuple[Weights, Any]:
    axis = config.get("axis", -1)
    size = (shape[axis[0] if isinstance(axis, list) else axis],)
    if config.get("renorm"):
        return None, shape
    return (size,) * (2 + bool(config.get("scale", True)) + bool(config.get("center", True))), shape


def _axis_norm(config: Config, shape: Shape) -> tuple[Weights, Any]:
    axis = config.get("axis", -1)
    axes = axis if isinstance(axis, list) else [axis]
    size = tuple(shape[a] for a in axes)
    return (size,) * (bool(config.get("scale", True)) + bool(config.get("center", "scale" in config))), shape


def _rms_norm(config: Config, shape: Shape) -> tuple[Weights, Any]:
    return _axis_norm({**config, "scale": True, "center": False}, shape)


def _normalization(config: Config, shape: Shape) -> tuple[Weights, Any]:
    return None, shape


def _prelu(config: Config, shape: Shape) -> tuple[Weights, Any]:
    shared = config.get("shared_axes") or ()
    return (tuple(1 if axis in shared else size for axis, size in enumerate(shape) if axis),), shape


def _cell(config: Config, shape: Shape, gates: int) -> tuple[Shape, ...]:
    units = config["units"]
    wide = gates * units
    bias: Shape = (2, wide) if gates == 3 and config.get("reset_after", True) else (wide,)
    return ((shape[-1], wide), (units, wide), *((bias,) if config.get("use_bias", True) else ()))


def _recurrent(gates: int) -> Rule:
    def rule(config: Config, shape: Any) -> tuple[Weights, Any]:
        shape = shape[0] if isinstance(shape, list) else shape
        units = config["units"]
        output = (*shape[:2], units) if config.get("return_sequences") else (shape[0], units)
        return _cell(config, shape, gates), None if config.get("return_state") else output

    return rule


def _bidirectional(config: Config, shape: Any) -> tuple[Weights, Any]:
    inner = config["layer"]
    weights, output = layer_shapes(inner["class_name"], inner["config"], shape)
    both = None if weights is None or config.get("backward_layer") else weights + weights
    if output is None or config.get("merge_mode") is None:
        return both, None
    return both, (*output[:-1], 2 * output[-1]) if config["merge_mode"] == "concat" else output


def _time_distributed(config: Config, shape: Shape) -> tuple[Weights, Any]:
    inner = config["layer"]
    if inner["class_name"] in ("Sequential", "Functional"):
        return None, None
    weights, output = layer_shapes(inner["class_name"], inner["config"], (shape[0], *shape[2:]))
    return weights, None if output is None else (shape[0], shape[1], *output[1:])


def _attention(config: Config, shape: Any) -> tuple[Weights, Any]:
    weights = ((),) if config.get("use_scale") else ()
    more = ((),) if config.get("score_mode") == "concat" else ()
    return (*weights, *more), None if not isinstance(shape, list) else (*shape[0][:-1], shape[1][-1])


def _additive_attention(config: Config, shape: Any) -> tuple[Weights, Any]:
    weights = ((shape[0][-1],),) if config.get("use_scale", True) else ()
    return weights, (*shape[0][:-1], shape[1][-1])


def _multi_head(config: Config, shape: Any) -> tuple[Weights, Any]:
    query = shape[0] if isinstance(shape, list) else shape
    value = shape[1] if isinstance(shape, list) and len(shape) > 1 else query
    key = shape[2] if isinstance(shape, list) and len(shape) > 2 else value
    if config.get("use_gate") or config.get("output_shape") is not None:
        return None, None
    heads, wide, out = config["num_heads"], config["key_dim"], config.get("value_dim") or config["key_dim"]
    sizes: list[tuple[int | None, int]] = [(query[-1], wide), (key[-1], wide), (value[-1], out)]
    kernels: list[Shape] = [(inner, heads, size) for inner, size in sizes]
    biases: list[Shape] = [*((heads, size) for _, size in sizes), (query[-1],)] if config.get("use_bias", True) else []
    return (*kernels, (heads, out, query[-1]), *biases), query


RULES: dict[str, Rule] = {
    "Dense": _dense,
    "Embedding": _embedding,
    "EinsumDense": _einsum_dense,
    "BatchNormalization": _batch_norm,
    "SyncBatchNormalization": _batch_norm,
    "LayerNormalization": _axis_norm,
    "GroupNormalization": _axis_norm,
    "RMSNormalization": _rms_norm,
    "Normalization": _normalization,
    "PReLU": _prelu,
    "SimpleRNN": _recurrent(1),
    "GRU": _recurrent(3),
    "LSTM": _recurrent(4),
    "Bidirectional": _bidirectional,
    "TimeDistributed": _time_distributed,
    "Attention": _attention,
    "AdditiveAttention": _additive_attention,
    "MultiHeadAttention": _multi_head,
    "Flatten": _flatten,
    "Reshape": _reshape,
    "Permute": _permute,
    "RepeatVector": _repeat,
    "Concatenate": _concatenate,
    **SPATIAL,
}
