"""The result of a batch: parts in a folder beside it, each written whole, which are joined to one file at the end."""

from __future__ import annotations

import csv
import io
import re
import zipfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mlops_lab.batch.answers import ERROR, Column, Columns
from mlops_lab.batch.sources import import_parquet, read_header
from mlops_lab.errors import WrongUsage
from mlops_lab.files import explained, write_atomically

PART = re.compile(r"part-(\d{12})-(\d+)-(\d+)")


class Format(NamedTuple):
    """A kind of file: how the columns of a part become bytes, and how parts become one file."""

    encode: Callable[[Columns], bytes]
    join: Callable[[Sequence[Path], Path], None]


def find_format(out: Path) -> Format:
    """Return the format that the name of a result stands for.

    Raises
    ------
    WrongUsage
        It stands for none.
    """
    if out.suffix not in FORMATS:
        raise WrongUsage(f"Answers cannot be written to {out}.", f"End its name with one of: {', '.join(FORMATS)}.")
    return FORMATS[out.suffix]


class Parts:
    """The parts of a result that are written already.

    The name of a part has its first row, its number of rows, and how many of them have no answer.

    Parameters
    ----------
    folder
        Where they lie.
    format
        Of the result.
    """

    def __init__(self, folder: Path, format: Format) -> None:
        self.rows = self.failed = 0
        self._folder = folder
        self._format = format
        self._paths: list[Path] = []
        names = sorted(path.name for path in folder.iterdir())
        for first, rows, failed in (map(int, found.groups()) for name in names if (found := PART.fullmatch(name))):
            if first == self.rows and rows > 0:
                self._take(rows, failed)

    def _path(self, rows: int, failed: int) -> Path:
        return self._folder / f"part-{self.rows:012}-{rows}-{failed}"

    def _take(self, rows: int, failed: int) -> None:
        self._paths.append(self._path(rows, failed))
        self.rows, self.failed = self.rows + rows, self.failed + failed

    def check(self, columns: Columns) -> None:
        """Raise where columns like these cannot be written."""
        self._format.encode(columns)

    def append(self, pieces: Sequence[Columns], rows: int) -> None:
        """Write the next part; it is on the disk itself when this returns."""
        columns = {name: _concatenate([piece[name] for piece in pieces]) for name in pieces[0]}
        content = self._format.encode(columns)
        failed = int(np.count_nonzero(np.asarray(columns[ERROR])))
        write_atomically(self._path(rows, failed), content)
        self._take(rows, failed)

    def join(self, out: Path) -> None:
        """Write the result, whole or not at all."""
        whole = self._folder / "whole"
        with explained(out):
            self._format.join(self._paths, whole)
            whole.replace(out)


def _concatenate(pieces: Sequence[Column]) -> Column:
    if isinstance(pieces[0], np.ndarray):
        return np.concatenate(pieces)
    if isinstance(pieces[0], list | tuple):
        return [item for piece in pieces for item in piece]
    import pyarrow

    column: Column = pyarrow.concat_arrays(pieces)
    return column


def _to_npz(columns: Columns) -> bytes:
    buffer = io.BytesIO()
    # numpy.savez takes no column of the name "file".
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, column in columns.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
                np.lib.format.write_array(file, _plain(name, column), allow_pickle=False)
    return buffer.getvalue()


def _plain(name: str, column: Column) -> np.ndarray[Any, Any]:
    array = np.asarray(column)
    if array.dtype == object:
        if not all(type(item) is str for item in array.ravel()):
            message = f"The column {name!r} holds values that are neither numbers nor text."
            raise WrongUsage(message, "Write the answers to a .parquet file.")
        array = array.astype(str)
    return array


def _join_npz(parts: Sequence[Path], whole: Path) -> None:
    """Write each array header first and then part by part, so that only one part is in memory."""
    with zipfile.ZipFile(whole, "w", allowZip64=True) as archive:
        for name in _names(parts[0]):
            headers = [_npz_header(part, name) for part in parts]
            dtype = np.result_type(*{header.dtype for header in headers})
            shape = (sum(header.shape[0] for header in headers), *headers[0].shape[1:])
            with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
                entry = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
                np.lib.format.write_array_header_2_0(file, entry)
                for part in parts:
                    with np.load(part) as arrays:
                        file.write(np.ascontiguousarray(arrays[name], dtype).tobytes())


def _names(part: Path) -> list[str]:
    with np.load(part) as arrays:
        return list(arrays)


def _npz_header(part: Path, name: str) -> Any:
    with zipfile.ZipFile(part) as archive, archive.open(f"{name}.npy") as file:
        return read_header(file)


def _to_parquet(columns: Columns) -> bytes:
    import pyarrow

    buffer = io.BytesIO()
    plain = {name: _nested(column) for name, column in columns.items()}
    import_parquet().write_table(pyarrow.table(plain), buffer)
    return buffer.getvalue()


def _nested(column: Column) -> Column:
    return column.tolist() if isinstance(column, np.ndarray) and column.ndim > 1 else column


def _join_parquet(parts: Sequence[Path], whole: Path) -> None:
    parquet = import_parquet()
    with parquet.ParquetWriter(whole, parquet.read_schema(parts[0])) as file:
        for part in parts:
            file.write_table(parquet.read_table(part))


def _to_csv(columns: Columns) -> bytes:
    buffer = io.StringIO(newline="")
    write = csv.writer(buffer, lineterminator="\n").writerow
    write(columns)
    for row in zip(*(_cells(name, column) for name, column in columns.items()), strict=True):
        write(row)
    return buffer.getvalue().encode()


def _cells(name: str, column: Column) -> Iterable[Any]:
    array = np.asarray(column)
    if array.ndim > 1:
        message = f"The column {name!r} has {array.shape[1:]} numbers in a row, and a cell of CSV holds one."
        raise WrongUsage(message, "Write the answers to an .npz or .parquet file.")
    cells: list[Any] = array.tolist()
    return cells


def _join_csv(parts: Sequence[Path], whole: Path) -> None:
    with whole.open("wb") as file:
        for number, part in enumerate(parts):
            head, _, rows = part.read_bytes().partition(b"\n")
            file.write(rows if number else head + b"\n" + rows)


FORMATS = {
    ".npz": Format(_to_npz, _join_npz),
    ".parquet": Format(_to_parquet, _join_parquet),
    ".csv": Format(_to_csv, _join_csv),
}
