"""Give a published version of format 1 a manifest of format 2; every other file of it stays as it is.

Its golden examples move into ``golden.npz``, and its input and labels become a signature. ``python tools/format_2.py
models/clothes/1``
"""

from __future__ import annotations

import hashlib
import json
import sys
from dataclasses import replace
from pathlib import Path

from mlops_lab.signature import Signature
from mlops_lab.store.golden_arrays import GOLDEN_FILE, Golden
from mlops_lab.store.manifest import ModelManifest


def main(folder: Path) -> None:
    """Write the two files, the manifest last."""
    path = folder / "manifest.json"
    if json.loads(path.read_text(encoding="utf-8"))["format"] != 1:
        print(f"{path} is of format 1 no longer.")
        return
    old = ModelManifest.from_json(path.read_bytes(), str(path))
    # The name that Keras gives the output of the SavedModel in the same folder.
    output = "output_0" if old.framework == "keras" else "probabilities"
    signature = Signature.classifier(old.input, old.labels, output)
    golden = Golden.of({old.input.name: old.golden.inputs}, {output: old.golden.outputs}, old.golden.tolerance)
    content = golden.to_bytes()
    files = {**old.files, GOLDEN_FILE: {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}}
    new = replace(old, files=dict(sorted(files.items())), signature=signature, golden=golden)
    (folder / GOLDEN_FILE).write_bytes(content)
    path.write_text(new.to_json(), encoding="utf-8")


if __name__ == "__main__":
    for name in sys.argv[1:]:
        main(Path(name))
