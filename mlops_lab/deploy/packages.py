"""Lock the packages that an application imports, at the versions that are installed here.

The locks in ``requirements/`` hold what our server needs. An application may import more; those packages and their
dependencies are pinned from the metadata of this environment, where the application works.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

from mlops_lab.errors import WrongUsage

FILE = "requirements.txt"
"""A file of this name beside an application replaces the packages that are found by its imports."""
IMAGE = {
    "implementation_name": "cpython", "os_name": "posix", "platform_machine": "x86_64", "platform_system": "Linux",
    "python_full_version": "3.11.0", "python_version": "3.11", "sys_platform": "linux", "extra": "",
}  # fmt: skip
"""The environment of the image, by which the markers of dependencies are evaluated."""


def lock(imports: Iterable[str], base: str) -> str:
    """Return the packages of imported modules that a lock does not hold, one pin a line, with their dependencies.

    Parameters
    ----------
    imports
        The top-level modules, such as ``{"flask", "pandas"}``; those of the standard library are ignored.
    base
        The text of the lock that is installed anyway.

    Raises
    ------
    WrongUsage
        A module is not installed here, so its version is unknown.

    Examples
    --------
    >>> lock({"json", "flask"}, "flask==3.1.2")
    ''
    """
    known = _known(base)
    owners = metadata.packages_distributions()
    waiting: list[str] = []
    for module in sorted(set(imports) - sys.stdlib_module_names):
        if normalized(module) in known:
            continue
        if module not in owners:
            hint = f"Install it: pip install {module}; or list the packages in {FILE} beside the application."
            raise WrongUsage(f"The application imports {module!r}, which is not installed here.", hint)
        waiting.append(owners[module][0])
    return "".join(f"{pin}\n" for pin in _pins(waiting, known))


def lock_requirements(text: str, base: str) -> tuple[str, bool]:
    r"""Return what is to be installed for a list of requirements beside a lock, and whether pip finds the rest.

    Packages that the lock holds are left out: the server needs them as they are there. What is pinned to the version
    that is installed here comes with its dependencies, all pinned; any other list stays as it is, for pip to resolve.

    Parameters
    ----------
    text
        The requirements, one a line.
    base
        The text of the lock that is installed anyway.

    Examples
    --------
    >>> lock_requirements("numpy==2.0", "numpy==2.1")
    ('', False)
    >>> lock_requirements("nowhere-installed==1.0", "")
    ('nowhere-installed==1.0\n', True)
    """
    known = _known(base)
    lines = [line for line in map(str.strip, text.splitlines()) if line and not line.startswith("#")]
    wanted = [line for line in lines if normalized(re.split(r"[^\w.-]", line)[0]) not in known]
    names = [line.partition("==")[0] for line in wanted]
    if all(_installed(name) == line.partition("==")[2] for name, line in zip(names, wanted, strict=True)):
        return "".join(f"{pin}\n" for pin in _pins(names, known)), False
    return "".join(f"{line}\n" for line in wanted), True


def _installed(name: str) -> str | None:
    try:
        return metadata.version(name)
    except (metadata.PackageNotFoundError, ValueError):  # a line that is no name
        return None


def _known(base: str) -> set[str]:
    return {normalized(name) for name in re.findall(r"^([\w.-]+)==", base, re.M)}


def own_requirements(application: Path) -> str | None:
    """Return the text of the ``requirements.txt`` beside an application; ``None`` where there is none.

    Raises
    ------
    WrongUsage
        The file cannot be read as text.
    """
    path = application.parent / FILE
    if not path.is_file():
        return None
    try:
        return path.read_text(encoding="utf-8").rstrip("\n") + "\n"
    except (OSError, UnicodeDecodeError) as error:
        raise WrongUsage(f"{path} cannot be read: {error}.", "Save it as text in UTF-8.") from error


def normalized(name: str) -> str:
    """Return a package's name in its normal form.

    Examples
    --------
    >>> normalized("Flask_SQLAlchemy")
    'flask-sqlalchemy'
    """
    return re.sub(r"[-_.]+", "-", name).lower()


def _pins(waiting: list[str], known: set[str]) -> list[str]:
    """Return the pins of packages and of their dependencies, without those that are known."""
    found: dict[str, str] = {}
    while waiting:
        name = normalized(waiting.pop())
        if name in known or name in found:
            continue
        try:
            package = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            continue  # a dependency for other systems, or one that the application works without
        found[name] = f"{name}=={package.version}"
        waiting += _dependencies(package)
    return [found[name] for name in sorted(found)]


def _dependencies(package: metadata.Distribution) -> list[str]:
    from packaging.requirements import Requirement

    wanted = [Requirement(line) for line in package.requires or ()]
    return [item.name for item in wanted if item.marker is None or item.marker.evaluate(IMAGE)]
