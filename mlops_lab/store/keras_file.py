"""A single ``.keras`` file, stamped with the versions that wrote it.

A ``.keras`` file is a zip archive of ``metadata.json``, ``config.json`` and ``model.weights.h5``. Keras writes its own
version into ``metadata.json`` and never reads it again. The stamp adds TensorFlow's, Python's and NumPy's there, under
keys that plain Keras ignores.
"""

from __future__ import annotations

import io
import json
import sys
import tempfile
import warnings
import zipfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

from mlops_lab.engines.quiet import import_keras
from mlops_lab.errors import DamagedArtifact, IncompatibleFile, StoreError, WrongUsage
from mlops_lab.files import write_atomically
from mlops_lab.store import safety
from mlops_lab.store.compat import check
from mlops_lab.store.compat.keys import installed
from mlops_lab.store.trial import trial_load

OnMismatch = Literal["warn", "error", "ignore"]
# The packages that a model of a framework is made with.
PACKAGES = {
    "keras": ("tensorflow", "keras"),
    "scikit-learn": ("scikit-learn",),
    "xgboost": ("xgboost", "xgboost-cpu"),
    "lightgbm": ("lightgbm",),
}


def running_versions(framework: str = "keras") -> dict[str, str]:
    """Return the versions of Python, of NumPy and of a framework here, without importing anything heavy.

    Examples
    --------
    >>> list(running_versions("scikit-learn"))
    ['python', 'scikit-learn', 'numpy']
    """
    versions = {"python": ".".join(map(str, sys.version_info[:3]))}
    found = {package: installed(package) for package in (*PACKAGES.get(framework, ()), "numpy")}
    return versions | {package: version for package, version in found.items() if version is not None}


def save_keras(model: Any, path: str | Path) -> Path:
    """Save a Keras model to one file, stamped with the versions that wrote it.

    The file is whole or not there: it is written beside its place and renamed.

    Parameters
    ----------
    model
        A Keras model, optimizer state and all.
    path
        Ends in ``.keras``.

    Raises
    ------
    StoreError
        The place cannot be written.
    WrongUsage
        The path does not end in ``.keras``.

    Examples
    --------
    >>> path = save_keras(model, "clothes.keras")  # doctest: +SKIP
    >>> load_keras(path)  # doctest: +SKIP
    """
    path = Path(path)
    if path.suffix != ".keras":
        raise WrongUsage(f"{path.name!r} does not end in .keras.", f"Save to {path.stem}.keras.")
    if not hasattr(model, "save"):
        raise WrongUsage(
            f"A {type(model).__name__} is not a Keras model.", "Publish it: ModelStore.publish(run, name)."
        )
    write_atomically(path, keras_bytes(model))
    return path


def keras_bytes(model: Any) -> bytes:
    """Return what :func:`save_keras` writes."""
    with tempfile.TemporaryDirectory(prefix="mlops-lab-") as folder:
        plain = Path(folder, "model.keras")
        model.save(plain)
        return stamp(plain.read_bytes())


def stamp(archive: bytes) -> bytes:
    """Return the same archive with the running versions added to its ``metadata.json``."""
    versions = running_versions()
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(archive)) as source, zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as target:
        for member in source.infolist():
            content = source.read(member)
            if member.filename == "metadata.json":
                entries = json.loads(content)
                entries |= {f"{name}_version": number for name, number in versions.items() if name != "keras"}
                content = json.dumps(entries).encode()
            target.writestr(member.filename, content)
    return out.getvalue()


def read_versions(path: str | Path) -> dict[str, str]:
    """Return the versions stamped in a ``.keras`` file: ``keras`` always, the others where the lab saved it.

    Raises
    ------
    StoreError
        There is no such file, or it is not a ``.keras`` archive.
    """
    path = Path(path)
    try:
        with zipfile.ZipFile(path) as archive:
            entries = json.loads(archive.read("metadata.json"))
        return {key.removesuffix("_version"): str(value) for key, value in entries.items() if key.endswith("_version")}
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror or error}.", "Look at the path.") from error
    except (zipfile.BadZipFile, KeyError, ValueError, AttributeError) as error:
        raise DamagedArtifact(f"{path} is not a .keras file: {error}.", "Save the model again.") from error


def load_keras(
    path: str | Path, *, on_mismatch: OnMismatch = "warn", trust: bool = False, sha256: str | None = None
) -> Any:
    """Load a Keras model from one file, once it is safe to, and say so when other versions wrote it.

    The bytes are read once; what is audited is what is loaded. A file that is not trusted is first loaded in a limited
    child process, while Keras is being imported here.

    Parameters
    ----------
    path
        A ``.keras`` file, by :func:`save_keras` or plain ``model.save``; or a legacy ``.h5``, with ``trust`` and its
        ``sha256``.
    on_mismatch
        When other versions wrote it, or only its loss, metrics or optimizer stand in the way, which are then left out:
        ``"warn"`` (the default) shows the report of :func:`mlops_lab.store.check`,
        ``"error"`` raises, ``"ignore"`` says nothing and lets Keras try.
    trust
        Whether you know who made the file: spares the trial in a child process.
    sha256
        The digest that its author gave; if given, the file must have it.

    Returns
    -------
    keras.Model

    Raises
    ------
    NotFound
        There is no such file.
    UnsafeFile
        The file does more than hold a model, is not the one with that digest, or failed its trial.
    IncompatibleFile
        This Keras cannot load it, or the versions differ and ``on_mismatch`` is ``"error"``.

    Examples
    --------
    >>> model = load_keras("clothes.keras")  # doctest: +SKIP
    """
    source = safety.read(path)
    audited = safety.audit(source)
    if audited.needs_pin or sha256 is not None:
        safety.require_pin(source.data, trust=trust or not audited.needs_pin, sha256=sha256)
    compiled = on_mismatch == "ignore" or _compare(path, on_mismatch)
    with ThreadPoolExecutor(1) as pool:
        trial = None if trust else pool.submit(trial_load, source.data)
        keras = import_keras()
        if trial is not None:
            trial.result().require_passed()
    suffix = ".h5" if audited.format == "legacy-h5" else ".keras"
    return _load_bytes(keras, source.data, Path(path).name, suffix, compiled)


def _compare(path: str | Path, on_mismatch: OnMismatch) -> bool:
    """Explain a file of other versions before Keras fails on it; return whether its settings of compile load too."""
    report = check(path)
    if not report.loads and report.loads_without_compile and on_mismatch == "warn":
        warnings.warn(f"{Path(path).name} is loaded without its settings of compile.\n{report}", stacklevel=3)
        return False
    if not report.loads:
        raise IncompatibleFile(f"{Path(path).name} does not load here: {' '.join(report.reasons)}", report.hint)
    written = dict(part.split("==", 1) for part in report.written_by.split(", ") if "==" in part)
    differing = differences(written)
    if not differing:
        return True
    if on_mismatch == "error":
        raise IncompatibleFile(f"{Path(path).name} was written by {differing}.", "Install the versions that wrote it.")
    warnings.warn(f"{Path(path).name} was written by {differing}.\n{report}", stacklevel=3)
    return True


def _load_bytes(keras: ModuleType, data: bytes, name: str, suffix: str, compiled: bool) -> Any:
    with tempfile.TemporaryDirectory(prefix="mlops-lab-") as folder:
        copy = Path(folder, f"model{suffix}")
        copy.write_bytes(data)
        try:
            with warnings.catch_warnings():
                # The optimizer of a model that was compiled and never trained has nothing to lose but its step, 0.
                warnings.filterwarnings("ignore", r"Skipping variable loading for optimizer .* saved optimizer has 1 ")
                return keras.saving.load_model(copy, compile=compiled, safe_mode=True)
        except Exception as error:  # Keras raises many kinds, with the whole configuration in the message
            reason = (str(error).strip().splitlines() or [type(error).__name__])[-1][:300]
            raise IncompatibleFile(
                f"Keras {keras.__version__} cannot load {name}: {reason}",
                f"See what it needs: mlops-lab check {name}",
            ) from error


def differences(written: Mapping[str, str]) -> str:
    """Return which of TensorFlow and Keras differ from the ones running here; empty where none does.

    Examples
    --------
    >>> differences({"keras": "2.15.0"}).startswith("Keras 2.15.0 (here ")
    True
    """
    running = running_versions()
    return " and ".join(
        f"{title} {written[package]} (here {running.get(package, 'not installed')})"
        for package, title in (("tensorflow", "TensorFlow"), ("keras", "Keras"))
        if package in written and written[package] != running.get(package)
    )
