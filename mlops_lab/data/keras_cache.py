"""Fashion-MNIST in the folder where Keras looks before it downloads."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import tempfile
from pathlib import Path

from mlops_lab.data.dataset import REINSTALL
from mlops_lab.data.sources import FASHION_FILES, FASHION_MNIST
from mlops_lab.errors import DataError


def fill_keras_cache(folder: Path | None = None) -> Path:
    """Copy Fashion-MNIST into Keras's cache, so that ``keras.datasets.fashion_mnist.load_data()`` works offline.

    A file that is there already is kept if it is whole, and replaced if it is not: Keras itself does not check them,
    and an interrupted download makes ``load_data`` fail from then on. TensorFlow is not imported.

    Parameters
    ----------
    folder
        Keras's folder; by default the one that Keras takes: ``$KERAS_HOME``, or else ``~/.keras``, or a temporary one
        where that cannot be written.

    Returns
    -------
    Path
        The folder that holds the four files.

    Raises
    ------
    DataError
        The folder cannot be written, or a file of this package is damaged.

    Examples
    --------
    >>> fill_keras_cache(Path(tempfile.mkdtemp())).parts[-2:]
    ('datasets', 'fashion-mnist')
    """
    place = (folder or _keras_home()) / "datasets" / "fashion-mnist"
    try:
        place.mkdir(parents=True, exist_ok=True)
        for name, (digest, *_) in FASHION_FILES.items():
            if not _is_whole(place / name, digest):
                _copy(FASHION_MNIST / name, place / name, digest)
    except OSError as error:
        hint = "Set KERAS_HOME to a folder that can be written, before Keras is imported."
        raise DataError(f"Keras's cache {place} cannot be written: {error.strerror}.", hint) from error
    return place


def _keras_home() -> Path:
    """Return the folder that Keras takes, by the same rule."""
    home = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras").expanduser()
    with contextlib.suppress(OSError):  # a home that cannot be made is one that cannot be written
        home.mkdir(parents=True, exist_ok=True)
    if os.access(home, os.W_OK):
        return home
    return Path("/tmp" if os.path.isdir("/tmp") else tempfile.gettempdir()) / ".keras"


def _is_whole(path: Path, digest: str) -> bool:
    return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == digest


def _copy(source: Path, target: Path, digest: str) -> None:
    """Copy a file so that a reader sees all of it or none."""
    if not _is_whole(source, digest):
        message = f"The data file {source} is missing or damaged."
        raise DataError(message, REINSTALL)
    part = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        shutil.copyfile(source, part)
        os.replace(part, target)
    finally:
        part.unlink(missing_ok=True)
