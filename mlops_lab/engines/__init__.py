"""Engines: one file for each framework, one protocol (:class:`mlops_lab.predict.Engine`) for all.

Each file has a ``load`` that takes the bytes of an artifact's files. Bytes and not a path, so that what was checked is
what is loaded.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module

from mlops_lab.errors import WrongUsage, nearest
from mlops_lab.predict import Engine

# The file each engine reads, in the order in which they are preferred for serving: the fastest first.
FILES = {"onnx": "model.onnx", "sklearn": "model.skops", "keras": "model.keras", "python": "model.py"}
# The engines that run what they load, so that it must be trusted.
RUNS_CODE = ("python",)


def load(name: str, files: Mapping[str, bytes]) -> Engine:
    """Return the engine of that name, made from an artifact's files.

    Raises
    ------
    WrongUsage
        There is no such engine, or the artifact holds nothing that it reads.
    """
    available = [engine for engine, file in FILES.items() if file in files]
    if name not in available:
        raise WrongUsage(f"This artifact holds nothing for an engine {name!r}.", nearest(name, available))
    module = import_module(f"mlops_lab.engines.{name}")
    engine: Engine = module.load_files(files) if name in RUNS_CODE else module.load(files[FILES[name]])
    return engine
