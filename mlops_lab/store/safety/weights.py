"""Walk the weights file without letting it reach outside itself, and compare it with what the configuration implies."""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mlops_lab.filetype import printable
from mlops_lab.store.safety.config import is_ordinary
from mlops_lab.store.safety.graph import LayerWeights
from mlops_lab.store.safety.report import AuditRefusal
from mlops_lab.store.safety.spatial import Shape

if TYPE_CHECKING:
    import h5py

SIGNATURE = b"\x89HDF\r\n\x1a\n"
SPARE_OBJECTS = 200
OBJECTS_PER_LAYER = 40  # groups and data sets; attention needs about twenty
MAX_TEXT = 8 * 2**20
HEAP = b"GCOL\x01\0\0\0"
MAX_RANK = 8
MAX_DECLARED = 256 * 2**20
MAX_GROWTH = 4  # declared bytes may be this many times the bytes of the file
PIECE = 2**20  # values that are in memory at once while looking for NaN
GZIP, SHUFFLE, FLETCHER = 1, 2, 3
HOUSEKEEPING = ("optimizer/", "metrics/", "_metrics/", "seed_generator/")
# Of HDF5's file images: neither copied nor freed by the library, and opened for reading only.
IN_PLACE = 0x2 | 0x4


@dataclass(frozen=True)
class Weight:
    """One data set of the file."""

    path: str
    shape: Shape
    dtype: Any


def open_h5(data: bytes, where: str) -> h5py.File:
    """Return the file opened from bytes, after checking that it is exactly as long as it says.

    The bytes are not copied: keep them until the file is closed.
    """
    import h5py

    if not data.startswith(SIGNATURE):
        raise AuditRefusal("h5_prefix" if SIGNATURE in data else "h5_damaged", "This is not an HDF5 file.", where)
    end = _end(data, where)
    if end > len(data):
        raise AuditRefusal("h5_truncated", f"The file ends {end - len(data):,} bytes too early.", where)
    if end < len(data):
        raise AuditRefusal("h5_trailing", f"{len(data) - end:,} bytes follow the end of the HDF5 file.", where)
    _heaps(data, where)
    try:
        return h5py.File(h5py.h5f.open_file_image(data, flags=IN_PLACE), "r")
    except Exception as error:  # h5py raises whatever the C library makes of a damaged file
        raise _damaged(error, where) from None


def _end(data: bytes, where: str) -> int:
    """Return the length that the superblock declares."""
    place = {0: 40, 1: 44, 2: 28, 3: 28}.get(data[8] if len(data) > 8 else 255)
    sizes = data[13:14] if len(data) > 8 and data[8] < 2 else data[9:10]
    if place is None or sizes != b"\x08" or len(data) < place + 8:
        raise AuditRefusal("h5_damaged", "The head of the HDF5 file is damaged.", where)
    return int(struct.unpack_from("<Q", data, place)[0])


def _heaps(data: bytes, where: str) -> None:
    """Refuse a global heap whose objects do not fill it: the HDF5 library walks such a heap for ever."""
    start = data.find(HEAP)
    while start >= 0:
        size = int.from_bytes(data[start + 8 : start + 16], "little")
        at, end = start + 16, start + size
        while end <= len(data) and at + 16 <= end:
            index = int.from_bytes(data[at : at + 2], "little")
            length = int.from_bytes(data[at + 8 : at + 16], "little")
            if index and length > MAX_TEXT:
                raise AuditRefusal("json_size", f"The HDF5 file holds a text of {length:,} bytes.", where)
            at += length if index == 0 else 16 + (length + 7) // 8 * 8
            if at > end or (index == 0 and length < 16):
                break
        if size < 16 or at > end or end - at >= 16 or end > len(data):
            raise AuditRefusal("h5_damaged", "A heap of the HDF5 file is damaged.", where)
        start = data.find(HEAP, start + 8)


def _damaged(error: Exception, where: str) -> AuditRefusal:
    return AuditRefusal("h5_damaged", f"The HDF5 file is damaged ({printable(str(error), 120)}).", where)


def walk(file: h5py.File, size: int, where: str, layers: int, floats: tuple[int, ...] = (4,)) -> list[Weight]:
    """Return every data set, having followed hard links only; ``floats`` are the widths the model may use."""
    try:
        found = list(_datasets(file, SPARE_OBJECTS + OBJECTS_PER_LAYER * layers, floats))
        declared = sum(_bytes(item) for item, _ in found)
        if declared > min(MAX_DECLARED, MAX_GROWTH * size):
            raise AuditRefusal("h5_bomb", f"{size:,} bytes declare weights of {declared:,} bytes.", where)
        for item, numbers in found:
            _finite(numbers, item)
    except AuditRefusal:
        raise
    except Exception as error:  # the C library again: a damaged file may fail anywhere
        raise _damaged(error, where) from None
    return [item for item, _ in found]


def _bytes(item: Weight) -> int:
    total = int(item.dtype.itemsize)
    for length in item.shape:
        total *= length or 0
    return total


def _datasets(file: h5py.File, most: int, floats: tuple[int, ...]) -> Iterator[tuple[Weight, h5py.Dataset]]:
    import h5py

    seen = {h5py.h5o.get_info(file["/"].id).addr}
    waiting = [(file["/"], "")]
    while waiting:
        group, path = waiting.pop()
        if len(seen) + len(group) > most:
            raise AuditRefusal(
                "h5_too_many", f"The file has more than the {most:,} objects that its layers explain.", path
            )
        for name in group:
            inner = f"{path}/{name}".lstrip("/")
            _link(group, name, inner)
            item = group[name]
            address = h5py.h5o.get_info(item.id).addr
            if address in seen:
                code = "h5_cycle" if isinstance(item, h5py.Group) else "h5_shared"
                raise AuditRefusal(code, "Two names lead to one object, which can go in circles.", inner)
            seen.add(address)
            if isinstance(item, h5py.Group):
                waiting.append((item, inner))
            elif isinstance(item, h5py.Dataset):
                yield _dataset(item, inner, floats), item
            else:
                raise AuditRefusal("h5_object", "The file holds something that is neither a group nor numbers.", inner)


def _link(group: Any, name: str, path: str) -> None:
    import h5py

    kind = group.id.links.get_info(name.encode("utf-8", "surrogateescape")).type
    if kind == h5py.h5l.TYPE_EXTERNAL:
        raise AuditRefusal("h5_external_link", "A link leads into another file.", path)
    if kind != h5py.h5l.TYPE_HARD:
        raise AuditRefusal("h5_soft_link", "A soft link stands in for an object.", path)
    if name in ("", ".", "..") or not is_ordinary(name) or len(path) > 512:
        raise AuditRefusal("h5_name", "An object's name is not an ordinary name.", path)


def _dataset(item: Any, path: str, floats: tuple[int, ...]) -> Weight:
    import h5py

    plan = item.id.get_create_plist()
    if plan.get_external_count():
        raise AuditRefusal("h5_external", "The numbers are to be read from another file on this computer.", path)
    layout = plan.get_layout()
    if layout == h5py.h5d.VIRTUAL:
        raise AuditRefusal("h5_virtual", "The numbers are to be put together from other files.", path)
    filters = {plan.get_filter(i)[0] for i in range(plan.get_nfilters())}
    if not filters <= {GZIP, SHUFFLE, FLETCHER}:
        raise AuditRefusal(
            "h5_filter", f"The numbers need the filters {sorted(filters)}; gzip and shuffle are read.", path
        )
    shape = item.shape
    if shape is None or len(shape) > MAX_RANK:
        raise AuditRefusal("h5_rank", "The numbers have no shape, or too many dimensions.", path)
    _dtype(item.id.get_type(), item.dtype, path, floats)
    weight = Weight(path, tuple(int(n) for n in shape), item.dtype)
    if layout == h5py.h5d.CONTIGUOUS and _bytes(weight) != item.id.get_storage_size():
        code = "h5_bomb" if _bytes(weight) > MAX_DECLARED else "h5_storage"
        raise AuditRefusal(
            code, f"{_bytes(weight):,} bytes are declared and {item.id.get_storage_size():,} are there.", path
        )
    return weight


def _dtype(kind: Any, dtype: Any, path: str, floats: tuple[int, ...]) -> None:
    import h5py

    opaque = (
        isinstance(kind, h5py.h5t.TypeOpaqueID) and dtype.itemsize == 2 and 0 in floats
    )  # bfloat16, as Keras writes it
    whole = isinstance(kind, h5py.h5t.TypeIntegerID)
    truth = isinstance(kind, h5py.h5t.TypeEnumID) and dtype.kind == "b"
    real = isinstance(kind, h5py.h5t.TypeFloatID) and dtype.itemsize in floats
    if not (opaque or whole or truth or real):
        raise AuditRefusal(
            "h5_dtype", f"The numbers are {printable(str(dtype))}, which this model's weights are not.", path
        )


def _finite(item: Any, weight: Weight) -> None:
    import numpy as np

    if weight.dtype.kind != "f" or 0 in weight.shape:
        return
    for part in _pieces(weight.shape):
        if not np.isfinite(item[part]).all():
            raise AuditRefusal("weights_not_finite", "The weights hold NaN or infinity.", weight.path)


def _pieces(shape: Shape) -> Iterator[Any]:
    """Yield slices along the first axis, each of about a million values."""
    if not shape:
        yield ()
        return
    row = 1
    for length in shape[1:]:
        row *= length or 0
    step = max(1, PIECE // max(row, 1))
    for start in range(0, shape[0] or 0, step):
        yield slice(start, start + step)


def compare(weights: list[Weight], layers: list[LayerWeights]) -> None:
    """Refuse weights that are not those of the configuration's layers."""
    held: dict[str, list[Shape]] = {layer.path: [] for layer in layers}
    for item in weights:
        path = _modern(item.path)
        if path.startswith(HOUSEKEEPING) or "seed_generator" in path:
            continue
        owner = _owner(path, held)
        if owner is None:
            raise AuditRefusal("weights_extra", "The file holds weights that no layer of the model has.", item.path)
        held[owner].append(item.shape)
    for layer in layers:
        if layer.weights is not None and not layer.path.endswith("/"):
            compare_layer(held[layer.path], layer)
    _optimizer(weights)


def _owner(path: str, held: dict[str, list[Shape]]) -> str | None:
    """Return the innermost layer whose place the path lies in."""
    while path:
        path = path.rpartition("/")[0]
        if path in held:
            return path
    return None


def _modern(path: str) -> str:
    return path.replace("_layer_checkpoint_dependencies\\", "layers/").replace(
        "_layer_checkpoint_dependencies/", "layers/"
    )


def compare_layer(found: list[Shape], layer: LayerWeights) -> None:
    """Refuse one layer's weights when their number or shapes are not what its configuration implies."""
    wanted = list(layer.weights or ())
    if len(found) < len(wanted):
        raise AuditRefusal(
            "weights_missing", f"{len(wanted)} weights are implied and {len(found)} are there.", layer.path
        )
    if len(found) > len(wanted):
        raise AuditRefusal(
            "weights_extra", f"{len(wanted)} weights are implied and {len(found)} are there.", layer.path
        )
    if any(None in shape for shape in wanted):
        wanted, found = [(len(s),) for s in wanted], [(len(s),) for s in found]
    if Counter(wanted) != Counter(found):
        raise AuditRefusal("weights_shape", f"The shapes {wanted} are implied and {found} are there.", layer.path)


def _optimizer(weights: list[Weight]) -> None:
    model = sum(_bytes(item) for item in weights if not item.path.startswith("optimizer/"))
    held = sum(_bytes(item) for item in weights if item.path.startswith("optimizer/"))
    if held > 4 * model + 2**20:
        raise AuditRefusal(
            "weights_extra", f"The optimizer holds {held:,} bytes for a model of {model:,}.", "optimizer"
        )
