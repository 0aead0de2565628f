"""The requirements of checks on the machine, and whether it meets them."""

from __future__ import annotations

import importlib
import importlib.util
import shutil
from collections.abc import Callable, Iterable
from functools import cache


def _package(name: str) -> Callable[[], bool]:
    def there() -> bool:
        try:
            return importlib.util.find_spec(name) is not None
        except ModuleNotFoundError:  # of a.b, where there is no a
            return False

    return there


@cache
def _docker() -> bool:
    """Whether a Docker engine answers; asked once."""
    import subprocess

    if shutil.which("docker") is None:
        return False
    try:
        return subprocess.run(["docker", "info"], capture_output=True, timeout=10).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


NEEDS: dict[str, tuple[Callable[[], bool], str]] = {
    "docker": (_docker, "no Docker engine"),
    "tensorflow": (_package("tensorflow"), "TensorFlow is not installed"),
    "onnxruntime": (_package("onnxruntime"), "onnxruntime is not installed"),
    "sklearn": (_package("sklearn"), "scikit-learn is not installed"),
    "scipy": (_package("scipy"), "SciPy is not installed"),
    "yaml": (_package("yaml"), "PyYAML is not installed"),
    "h5py": (_package("h5py"), "h5py is not installed"),
    "protobuf": (_package("google.protobuf"), "protobuf is not installed"),
    "node": (lambda: shutil.which("node") is not None, "node is not installed"),
}

# What a check imports itself, before its time begins: an import that is interrupted halfway leaves a package broken.
IMPORTS = {
    "onnxruntime": ("onnxruntime",),
    "sklearn": tuple(f"sklearn.{one}" for one in ("linear_model", "neighbors", "pipeline", "preprocessing", "tree")),
    "scipy": ("scipy.stats",),
    "h5py": ("h5py",),
    "yaml": ("yaml",),
    "protobuf": ("google.protobuf.text_format",),
}


def load(needs: Iterable[str]) -> None:
    """Import what checks with these needs import in the grader's own process; students' code imports for itself."""
    for name in (name for word in needs for name in IMPORTS.get(word, ())):
        importlib.import_module(name)


def missing(needs: Iterable[str], *, docker: bool = True) -> str:
    """Return what is missing here, or an empty string.

    Parameters
    ----------
    needs
        Words of :data:`NEEDS`.
    docker
        Whether Docker may be used at all.

    Examples
    --------
    >>> missing([])
    ''
    """
    for word in needs:
        there, sentence = NEEDS[word]
        if word == "docker" and not docker:
            return "Docker was not asked for (--docker)"
        if not there():
            return sentence
    return ""
