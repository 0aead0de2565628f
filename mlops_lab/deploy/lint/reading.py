"""Parse Kubernetes files into objects.

Kustomizations are kept apart, and the patches that they name are left out, since a patch is not a complete object. The
ConfigMaps that a kustomization generates count as objects.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mlops_lab.deploy.lint.manifests import KubernetesObject, Manifests, rows, things
from mlops_lab.errors import MissingPackage, StoreError


def texts(folder: str | Path) -> dict[str, str]:
    """Return the YAML files below a folder by path, for :func:`~mlops_lab.deploy.lint.check`.

    Raises
    ------
    StoreError
        A file cannot be read, or is not text.
    """
    root = Path(folder)
    try:
        return {
            path.relative_to(root).as_posix(): path.read_text(encoding="utf-8")
            for path in sorted(root.rglob("*"))
            if path.suffix in (".yaml", ".yml") and path.is_file()
        }
    except (OSError, UnicodeDecodeError) as error:
        raise StoreError(f"A file in {folder} cannot be read: {error}.", "Save it as text in UTF-8.") from error


def read(files: Mapping[str, str]) -> Manifests:
    """Parse the files whose names end in ``.yaml`` or ``.yml``.

    Raises
    ------
    MissingPackage
        PyYAML is not installed.
    """
    texts = {path: text for path, text in files.items() if path.endswith((".yaml", ".yml"))}
    broken: dict[str, str] = {}
    found = [KubernetesObject(path, body) for path, text in texts.items() for body in _documents(path, text, broken)]
    kustomizations = [item for item in found if item.kind in ("Kustomization", "Component")]
    patches = {path for item in kustomizations for path in _patches(item)}
    objects = [item for item in found if item not in kustomizations and item.path not in patches]
    generated = [made for item in kustomizations for made in _generated(item)]
    return Manifests((*objects, *generated), tuple(kustomizations), broken, frozenset(files))


def _documents(path: str, text: str, broken: dict[str, str]) -> Iterator[dict[str, Any]]:
    try:
        import yaml
    except ModuleNotFoundError as error:
        raise MissingPackage("PyYAML is not installed.", "pip install pyyaml") from error
    try:
        documents = [item for item in yaml.safe_load_all(text) if item is not None]
    except yaml.YAMLError as error:
        broken[path] = " ".join(str(error).split())
        return
    for body in documents:
        if isinstance(body, dict) and isinstance(body.get("kind"), str):
            yield from rows(body, "items") if body["kind"] == "List" else [body]
        elif posixpath.basename(path) in ("kustomization.yaml", "kustomization.yml"):
            yield {"kind": "Kustomization", **body}
        else:
            broken[path] = "a document in it has no kind"


def _patches(kustomization: KubernetesObject) -> Iterator[str]:
    folder = posixpath.dirname(kustomization.path)
    named = [patch.get("path") for patch in rows(kustomization.body, "patches")]
    for path in [*named, *things(kustomization.body, "patchesStrategicMerge")]:
        if isinstance(path, str):
            yield posixpath.normpath(posixpath.join(folder, path))


def _generated(kustomization: KubernetesObject) -> Iterator[KubernetesObject]:
    """Yield the ConfigMaps that a kustomization generates, with their keys."""
    for row in rows(kustomization.body, "configMapGenerator"):
        pairs = dict(str(literal).partition("=")[::2] for literal in things(row, "literals"))
        files = {posixpath.basename(str(name).partition("=")[0]): "" for name in things(row, "files")}
        body = {"kind": "ConfigMap", "metadata": {"name": row.get("name")}, "data": {**pairs, **files}}
        yield KubernetesObject(kustomization.path, body)
