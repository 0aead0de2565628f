"""The shapes of the layers that slide over space: convolutions, pooling, padding; ``shapes`` has the others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Shape = tuple[int | None, ...]
Config = dict[str, Any]
Weights = tuple[Shape, ...] | None
Rule = Callable[[Config, Any], tuple[Weights, Any]]


def _first(config: Config) -> bool:
    return config.get("data_format") == "channels_first"


def _split(config: Config, shape: Shape) -> tuple[int | None, Shape]:
    return (shape[1], shape[2:]) if _first(config) else (shape[-1], shape[1:-1])


def _join(config: Config, shape: Shape, channels: int | None, space: Shape) -> Shape:
    return (shape[0], channels, *space) if _first(config) else (shape[0], *space, channels)


def _each(value: Any, rank: int) -> tuple[int, ...]:
    return (value,) * rank if isinstance(value, int) else tuple(value)


def _window(config: Config, space: Shape, size: tuple[int, ...]) -> Shape:
    strides = _each(config.get("strides") or size, len(space))
    dilation = _each(config.get("dilation_rate", 1), len(space))
    valid = config.get("padding", "valid") == "valid"
    reach = [d * (k - 1) + 1 if valid else 1 for k, d in zip(size, dilation, strict=True)]
    return tuple(n and max(0, (n - r) // s + 1) for n, r, s in zip(space, reach, strides, strict=True))


def _times(a: int | None, b: int) -> int | None:
    return None if a is None else a * b


def bias(config: Config, *shape: int | None) -> tuple[Shape, ...]:
    """Return the bias's shape when the layer has one."""
    return (shape,) if config.get("use_bias", True) else ()


def _conv(config: Config, shape: Shape) -> tuple[Weights, Any]:
    channels, space = _split(config, shape)
    size, filters = _each(config["kernel_size"], len(space)), config["filters"]
    inner = channels // config.get("groups", 1) if channels else None
    weights = None if config.get("lora_rank") else ((*size, inner, filters), *bias(config, filters))
    return weights, _join(config, shape, filters, _window(config, space, size))


def _conv_transpose(config: Config, shape: Shape) -> tuple[Weights, Any]:
    channels, space = _split(config, shape)
    size, filters = _each(config["kernel_size"], len(space)), config["filters"]
    weights = ((*size, filters, channels), *bias(config, filters))
    if config.get("output_padding") is not None:
        return weights, None
    strides, dilation = _each(config.get("strides", 1), len(space)), _each(config.get("dilation_rate", 1), len(space))
    valid = config.get("padding", "valid") == "valid"
    extra = [max(d * (k - 1) + 1 - s, 0) if valid else 0 for k, d, s in zip(size, dilation, strides, strict=True)]
    grown = tuple(n and n * s + e for n, s, e in zip(space, strides, extra, strict=True))
    return weights, _join(config, shape, filters, grown)


def _depthwise(config: Config, shape: Shape) -> tuple[Weights, Any]:
    channels, space = _split(config, shape)
    size, depth = _each(config["kernel_size"], len(space)), config.get("depth_multiplier", 1)
    filters = _times(channels, depth)
    weights = ((*size, channels, depth), *bias(config, filters))
    return weights, _join(config, shape, filters, _window(config, space, size))


def _separable(config: Config, shape: Shape) -> tuple[Weights, Any]:
    channels, space = _split(config, shape)
    size, depth, filters = (
        _each(config["kernel_size"], len(space)),
        config.get("depth_multiplier", 1),
        config["filters"],
    )
    point = (*(1,) * len(space), _times(channels, depth), filters)
    weights = ((*size, channels, depth), point, *bias(config, filters))
    return weights, _join(config, shape, filters, _window(config, space, size))


def _pool(config: Config, shape: Shape) -> tuple[Weights, Any]:
    channels, space = _split(config, shape)
    return (), _join(config, shape, channels, _window(config, space, _each(config["pool_size"], len(space))))


def _global_pool(config: Config, shape: Shape) -> tuple[Weights, Any]:
    channels, space = _split(config, shape)
    return (), _join(config, shape, channels, (1,) * len(space)) if config.get("keepdims") else (shape[0], channels)


def _pairs(value: Any, rank: int) -> list[tuple[int, int]]:
    items = [value] * rank if isinstance(value, int) else list(value)
    if rank == 1 and all(isinstance(item, int) for item in items):
        return [(items[0], items[-1])]
    return [(item, item) if isinstance(item, int) else (item[0], item[1]) for item in items]


def _pad(config: Config, shape: Shape) -> tuple[Weights, Any]:
    channels, space = _split(config, shape)
    pairs = _pairs(config["padding"], len(space))
    return (), _join(config, shape, channels, tuple(n and n + a + b for n, (a, b) in zip(space, pairs, strict=True)))


def _crop(config: Config, shape: Shape) -> tuple[Weights, Any]:
    channels, space = _split(config, shape)
    pairs = _pairs(config["cropping"], len(space))
    return (), _join(config, shape, channels, tuple(n and n - a - b for n, (a, b) in zip(space, pairs, strict=True)))


def _upsample(config: Config, shape: Shape) -> tuple[Weights, Any]:
    channels, space = _split(config, shape)
    sizes = _each(config["size"], len(space))
    return (), _join(config, shape, channels, tuple(n and n * s for n, s in zip(space, sizes, strict=True)))


def _resize(config: Config, shape: Shape) -> tuple[Weights, Any]:
    return (), _join(config, shape, _split(config, shape)[0], (config["height"], config["width"]))


def _conv_lstm(config: Config, shape: Shape) -> tuple[Weights, Any]:
    step = (shape[0], *shape[2:])
    channels, space = _split(config, step)
    size, filters = _each(config["kernel_size"], len(space)), config["filters"]
    out = _join(config, step, filters, _window(config, space, size))
    output = (out[0], shape[1], *out[1:]) if config.get("return_sequences") else out
    weights = ((*size, channels, 4 * filters), (*size, filters, 4 * filters), *bias(config, 4 * filters))
    return weights, None if config.get("return_state") else output


SPATIAL: dict[str, Rule] = {
    "Resizing": _resize,
    "CenterCrop": _resize,
    "RandomCrop": _resize,
    **{f"{name}{rank}D": _conv for name in ("Conv", "Convolution") for rank in (1, 2, 3)},
    **{f"{name}{rank}DTranspose": _conv_transpose for name in ("Conv", "Convolution") for rank in (1, 2, 3)},
    **{f"DepthwiseConv{rank}D": _depthwise for rank in (1, 2)},
    **{f"{name}{rank}D": _separable for name in ("SeparableConv", "SeparableConvolution") for rank in (1, 2)},
    **{f"ConvLSTM{rank}D": _conv_lstm for rank in (1, 2, 3)},
    **{
        f"{name}{rank}D": _pool for name in ("AveragePooling", "AvgPool", "MaxPooling", "MaxPool") for rank in (1, 2, 3)
    },
    **{
        f"Global{name}{rank}D": _global_pool
        for name in ("AveragePooling", "AvgPool", "MaxPooling", "MaxPool")
        for rank in (1, 2, 3)
    },
    **{f"ZeroPadding{rank}D": _pad for rank in (1, 2, 3)},
    **{f"Cropping{rank}D": _crop for rank in (1, 2, 3)},
    **{f"UpSampling{rank}D": _upsample for rank in (1, 2, 3)},
}
