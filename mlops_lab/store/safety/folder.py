"""Judge a folder: a SavedModel, an unzipped Keras model, or a version of the store with the SHA-256 of every file."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any

from mlops_lab.store.safety import strict_json
from mlops_lab.store.safety.keras_file import judge_parts
from mlops_lab.store.safety.report import AuditFinding, AuditRefusal
from mlops_lab.store.safety.saved_model import FILES, judge_saved_model

MANIFEST = "manifest.json"
MANIFEST_BYTES = 4 * 2**20
WEIGHTS = "model.weights.h5"
HUB = {"README.md", "LICENSE", ".gitattributes", ".gitignore"}
BESIDE = ("README.md", MANIFEST)
PLAIN = (".json", ".md", ".png", ".svg", ".txt", ".npy", ".csv")
Judge = Callable[[bytes], list[AuditFinding]]


def judge_folder(files: Mapping[str, bytes], judge: Judge) -> tuple[str, list[AuditFinding]]:
    """Return the folder's format and what is wrong with it; ``judge`` judges one file's bytes."""
    if MANIFEST in files:
        return "version-folder", _version(files, judge)
    if "saved_model.pb" in files:
        return "saved-model", judge_saved_model(files)
    if "config.json" in files and WEIGHTS in files:
        return "keras-folder", _unzipped(files)
    raise AuditRefusal(
        "unknown_format", "The folder is no SavedModel, no unzipped Keras model and no version of the store."
    )


def _unzipped(files: Mapping[str, bytes]) -> list[AuditFinding]:
    """Judge a model that ``save(zipped=False)`` wrote, beside the files that a model hub adds."""
    for name in sorted(files.keys() - {"metadata.json", "config.json", WEIGHTS}):
        if name not in HUB and not (name.startswith("assets/") and name.endswith((".png", ".svg"))):
            raise AuditRefusal("folder_extra", "The folder holds a file that Keras does not write.", name)
    if "metadata.json" not in files:
        raise AuditRefusal("zip_missing_member", "A file that Keras always writes is missing.", "metadata.json")
    return judge_parts(files["metadata.json"], files["config.json"], files[WEIGHTS])


def _version(files: Mapping[str, bytes], judge: Judge) -> list[AuditFinding]:
    listed = _listed(files[MANIFEST])
    for name, entry in listed.items():
        if name not in files:
            raise AuditRefusal("folder_missing", "A file that the manifest lists is missing.", name)
        right = entry.get("size") == len(files[name]) and entry.get("sha256") == hashlib.sha256(files[name]).hexdigest()
        if not right:
            raise AuditRefusal("folder_checksum", "A file is not what the manifest lists.", name)
    for name in files.keys() - listed.keys():
        if name not in BESIDE and not (name.startswith("evidence/") and name.endswith((*PLAIN, ".html"))):
            raise AuditRefusal("folder_extra", "A file is not in the manifest.", name)
    return _contents({name: files[name] for name in listed}, judge)


def _listed(data: bytes) -> dict[str, dict[str, Any]]:
    manifest = strict_json.parse(data, MANIFEST, MANIFEST_BYTES)
    listed = manifest.get("files") if isinstance(manifest, dict) else None
    if not isinstance(listed, dict) or not all(isinstance(entry, dict) for entry in listed.values()):
        raise AuditRefusal("folder_manifest", "The manifest lists no files.", MANIFEST)
    return listed


def _contents(files: dict[str, bytes], judge: Judge) -> list[AuditFinding]:
    found: list[AuditFinding] = []
    saved = {name: data for name, data in files.items() if name in FILES or name.startswith(("variables/", "assets/"))}
    if "saved_model.pb" in saved:
        found += judge_saved_model(saved)
    for name, data in files.items():
        if name not in saved and not name.endswith(PLAIN):
            found += judge(data)
    return found
