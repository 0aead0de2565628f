"""All that is looked at, in order."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from mlops_lab.doctor import machine, notebook, traps
from mlops_lab.doctor.findings import Checkup, Finding


def examine(models: str | Path = "models", port: int = 8000) -> Checkup:
    """Look at Python, the packages, the data, the models folder, the port and the disk. Imports nothing heavy.

    In a cell it also compares the kernel's environment with the one that Jupyter runs in, finds servers that
    ``app.run`` has left behind, and explains why ``app.run`` ended with ``SystemExit``.

    Parameters
    ----------
    models
        The models folder.
    port
        That the server is to have.

    Examples
    --------
    >>> examine().findings[0].subject
    'Python'
    """
    looks: list[Callable[[], Finding]] = [
        machine.python,
        machine.environment,
        machine.tensorflow,
        *(lambda name=name, why=why: machine.package(name, why) for name, why in machine.PACKAGES.items()),
        machine.fashion_mnist,
        lambda: machine.models(Path(models)),
        lambda: machine.port(port),
        lambda: machine.disk(Path(models)),
    ]
    return Checkup((*(look() for look in looks), *notebook.look(), *traps.look()))
