"""Sources of rows: the arrays of an ``.npz`` file, a Parquet file, a folder of images. None is read whole."""

from __future__ import annotations

import hashlib
import math
import os
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import IO, Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from mlops_lab.batch.answers import Columns
from mlops_lab.data.folder import image_files
from mlops_lab.errors import DataError, MissingPackage, WrongUsage, nearest
from mlops_lab.inputs import InputSpec

SKIPPED_BYTES = 2**24


class Rows(NamedTuple):
    """Consecutive rows: the columns that the model takes, and those that the result keeps."""

    inputs: Columns
    kept: Columns
    length: int


class Source(Protocol):
    """Rows in a fixed order."""

    @property
    def length(self) -> int:
        """The number of rows."""
        ...

    def identity(self) -> str:
        """Return what changes when the rows do."""
        ...

    def read(self, start: int, size: int) -> Iterator[Rows]:
        """Yield all rows from ``start`` on, ``size`` at a time."""
        ...


def open_source(path: str | os.PathLike[str], specs: Sequence[InputSpec]) -> Source:
    """Return the rows of a file or a folder.

    Parameters
    ----------
    path
        An ``.npz`` or ``.parquet`` file, or a folder of PNG and JPEG files.
    specs
        The inputs of the model. A column bears the name of each; a row of a table may also be in one column for each of
        its numbers. Images are not kept in the result.

    Raises
    ------
    DataError
        There is no such file, or it cannot be read.
    WrongUsage
        It is of another kind, or a column that the model takes is not in it.
    """
    place = Path(path)
    if place.is_dir():
        return FolderSource.of(place, specs)
    readers: dict[str, Callable[[Path, Sequence[InputSpec]], Source]]
    readers = {".npz": NpzSource.of, ".parquet": ParquetSource.of}
    if place.suffix not in readers:
        kinds = "an .npz or .parquet file, or a folder of images"
        raise WrongUsage(f"Rows cannot be read from {place}.", f"Give {kinds}.")
    if not place.is_file():
        raise DataError(f"There is no file {place}.", "Check the path.")
    return readers[place.suffix](place, specs)


def _choose(place: Path, specs: Sequence[InputSpec], known: list[str]) -> dict[str, bool]:
    """Return the columns that the model takes, and whether each has images."""
    chosen = {}
    for spec in specs:
        parted = spec.columns if spec.name not in known else ()
        for name in parted or (spec.name,):
            if name not in known:
                message = f"The model takes a column {name!r}, which {place} does not have."
                raise WrongUsage(message, nearest(name, known))
            chosen[name] = spec.size is not None
    return chosen


def _identity(place: Path) -> str:
    found = place.stat()
    return f"{found.st_size} bytes, modified {found.st_mtime_ns}"


@dataclass(frozen=True)
class FolderSource:
    """The PNG and JPEG files below a folder, by name. The result keeps the column ``file``."""

    place: Path
    files: tuple[str, ...]
    name: str

    @classmethod
    def of(cls, place: Path, specs: Sequence[InputSpec]) -> FolderSource:
        """Look for the images."""
        if len(specs) > 1 or specs[0].size is None:
            raise WrongUsage("A folder of images is for a model of one image.", "Give an .npz or .parquet file.")
        return cls(place, tuple(path.as_posix() for path in image_files(place)), specs[0].name)

    @property
    def length(self) -> int:
        """The number of images."""
        return len(self.files)

    def identity(self) -> str:
        """Return a hash of the names and sizes."""
        sizes = (f"{name} {(self.place / name).stat().st_size}\n" for name in self.files)
        return hashlib.sha256("".join(sizes).encode()).hexdigest()

    def read(self, start: int, size: int) -> Iterator[Rows]:
        """Yield the bytes of the files."""
        for first in range(start, self.length, size):
            files = self.files[first : first + size]
            try:
                images = [(self.place / name).read_bytes() for name in files]
            except OSError as error:
                message = f"{error.filename} cannot be read: {error.strerror}."
                raise DataError(message, "Make it readable, and run it again.") from error
            yield Rows({self.name: images}, {"file": files}, len(files))


class Header(NamedTuple):
    """The type and the shape of an array in an ``.npz`` file."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]

    @property
    def row_bytes(self) -> int:
        """The bytes of one row."""
        return self.dtype.itemsize * math.prod(self.shape[1:])


def read_header(file: IO[bytes]) -> Header:
    """Read the header of an ``.npy`` array; the numbers follow it.

    Raises
    ------
    ValueError
        It is none, or its numbers cannot be read row by row.
    """
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, fortran, dtype = read(file)
    if dtype.hasobject:
        raise ValueError("it holds Python objects")
    if fortran and len(shape) > 1:
        raise ValueError("it is in Fortran's order; save numpy.ascontiguousarray of it")
    return Header(dtype, shape)


@dataclass(frozen=True)
class NpzSource:
    """The arrays of an ``.npz`` file that have one row each; the result keeps those that are no images."""

    place: Path
    inputs: tuple[str, ...]
    kept: tuple[str, ...]
    headers: Mapping[str, Header]

    @classmethod
    def of(cls, place: Path, specs: Sequence[InputSpec]) -> NpzSource:
        """Read the headers."""
        try:
            with zipfile.ZipFile(place) as archive:
                names = [name.removesuffix(".npy") for name in archive.namelist()]
                inputs = _choose(place, specs, names)
                headers = {name: _header(archive, name) for name in names}
        except (OSError, ValueError, zipfile.BadZipFile) as error:
            raise DataError(f"{place} cannot be read: {error}.", "Write it with numpy.savez.") from error
        lengths = {name: headers[name].shape[:1] for name in inputs}
        if len(set(lengths.values())) > 1 or () in lengths.values():
            shapes = ", ".join(f"{name} {headers[name].shape}" for name in inputs)
            raise DataError(f"The arrays of {place} differ in length: {shapes}.", "The first axis is the row.")
        alike = [name for name in names if headers[name].shape[:1] == lengths[next(iter(inputs))]]
        return cls(place, tuple(inputs), tuple(name for name in alike if not inputs.get(name)), headers)

    @property
    def length(self) -> int:
        """The length of the arrays."""
        return self.headers[self.inputs[0]].shape[0]

    def identity(self) -> str:
        """Return the size and the time of the file."""
        return _identity(self.place)

    def read(self, start: int, size: int) -> Iterator[Rows]:
        """Yield rows as they lie in the file."""
        with ExitStack() as stack:
            archive = stack.enter_context(zipfile.ZipFile(self.place))
            names = {*self.inputs, *self.kept}
            files = {name: stack.enter_context(archive.open(f"{name}.npy")) for name in names}
            for name, file in files.items():
                read_header(file)
                _skip(file, start * self.headers[name].row_bytes)
            for first in range(start, self.length, size):
                count = min(size, self.length - first)
                found = {name: self._take(file, name, count) for name, file in files.items()}
                kept = {name: found[name] for name in self.kept}
                yield Rows({name: found[name] for name in self.inputs}, kept, count)

    def _take(self, file: IO[bytes], name: str, count: int) -> NDArray[Any]:
        header = self.headers[name]
        content = file.read(count * header.row_bytes)
        if len(content) < count * header.row_bytes:
            raise DataError(f"The array {name!r} of {self.place} is cut off.", "Write it with numpy.savez.")
        return np.frombuffer(content, header.dtype).reshape(count, *header.shape[1:])


def _header(archive: zipfile.ZipFile, name: str) -> Header:
    with archive.open(f"{name}.npy") as file:
        try:
            return read_header(file)
        except ValueError as error:
            raise ValueError(f"its array {name!r}: {error}") from error


def _skip(file: IO[bytes], count: int) -> None:
    while count > 0:
        count -= len(file.read(min(count, SKIPPED_BYTES))) or count


@dataclass(frozen=True)
class ParquetSource:
    """A Parquet file; the result keeps every column that is no image."""

    place: Path
    inputs: tuple[str, ...]
    kept: tuple[str, ...]
    groups: tuple[int, ...]

    @classmethod
    def of(cls, place: Path, specs: Sequence[InputSpec]) -> ParquetSource:
        """Read the footer."""
        parquet = import_parquet()
        try:
            with parquet.ParquetFile(place) as file:
                names = file.schema_arrow.names
                groups = tuple(file.metadata.row_group(number).num_rows for number in range(file.num_row_groups))
        except (OSError, ValueError) as error:
            raise DataError(f"{place} cannot be read: {error}.", "Write it as Parquet.") from error
        inputs = _choose(place, specs, names)
        return cls(place, tuple(inputs), tuple(name for name in names if not inputs.get(name)), groups)

    @property
    def length(self) -> int:
        """The number of rows."""
        return sum(self.groups)

    def identity(self) -> str:
        """Return the size and the time of the file."""
        return _identity(self.place)

    def read(self, start: int, size: int) -> Iterator[Rows]:
        """Yield rows; only one row group is in memory."""
        first, skipped = 0, start
        while first < len(self.groups) and skipped >= self.groups[first]:
            skipped -= self.groups[first]
            first += 1
        columns = sorted({*self.inputs, *self.kept})
        with import_parquet().ParquetFile(self.place) as file:
            groups = list(range(first, len(self.groups)))
            for table in file.iter_batches(size, groups, columns) if groups else ():
                rows = table.slice(min(skipped, table.num_rows))
                skipped -= table.num_rows - rows.num_rows
                if rows.num_rows:
                    inputs = {name: rows.column(name).to_pylist() for name in self.inputs}
                    yield Rows(inputs, {name: rows.column(name) for name in self.kept}, rows.num_rows)


def import_parquet() -> ModuleType:
    """Return ``pyarrow.parquet``.

    Raises
    ------
    MissingPackage
        pyarrow is not installed.
    """
    try:
        import pyarrow.parquet as parquet
    except ModuleNotFoundError as error:
        raise MissingPackage("Parquet needs pyarrow.", "pip install 'mlops-lab[parquet]'") from error
    module: ModuleType = parquet
    return module
