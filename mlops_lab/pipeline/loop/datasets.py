"""The data of each version, kept by their checksum: what a later version is trained on again."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np

from mlops_lab import data
from mlops_lab.data import Dataset, Split
from mlops_lab.errors import GateFailed, LabError
from mlops_lab.files import write_atomically
from mlops_lab.inputs import InputSpec
from mlops_lab.store import ModelVersion

ARRAYS = ("train_images", "train_labels", "test_images", "test_labels")


class DatasetFolder:
    """Data sets in a folder, a file each.

    Parameters
    ----------
    folder
        Made where it is missing.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def keep(self, dataset: Dataset, fresh: Split | None = None) -> str:
        """Write a data set under its checksum, and return that.

        Parameters
        ----------
        dataset
            What a version is trained and tested on.
        fresh
            The part of production's examples that was held out of it.
        """
        checksum = dataset.checksum
        about = {key: getattr(dataset, key) for key in ("name", "classes", "source", "task")}
        about["input"] = dataset.input.to_dict()
        arrays = {name: getattr(getattr(dataset, part), of) for name in ARRAYS for part, of in [name.split("_")]}
        if fresh is not None:
            arrays |= {"fresh_images": fresh.images, "fresh_labels": fresh.labels}
        buffer = io.BytesIO()
        np.savez(buffer, about=np.array(json.dumps(about, ensure_ascii=False)), **arrays)
        write_atomically(self._path(checksum), buffer.getvalue())
        return checksum

    def load(self, checksum: str) -> tuple[Dataset, Split | None]:
        """Return a data set, and production's held-out examples where it has some.

        Raises
        ------
        GateFailed
            It is not here.
        """
        try:
            with np.load(self._path(checksum), allow_pickle=False) as file:
                found = {name: file[name] for name in file.files}
            about = json.loads(str(found["about"]))
            train, test = (Split(found[f"{part}_images"], found[f"{part}_labels"]) for part in ("train", "test"))
            spec = InputSpec.from_dict(about.pop("input"))
            dataset = Dataset(about["name"], tuple(about["classes"]), train, test, spec, about["source"], about["task"])
        except (OSError, ValueError, LookupError, TypeError) as error:
            message = f"The data {checksum[:12]}… are not in {self._folder}: {error}."
            raise GateFailed(message, "Keep the folder of the work between two runs.") from error
        fresh = Split(found["fresh_images"], found["fresh_labels"]) if "fresh_images" in found else None
        return dataset, fresh

    def of(self, version: ModelVersion) -> tuple[Dataset, Split | None]:
        """Return what a version was trained and tested on, and the part of production's examples held out of it.

        Raises
        ------
        GateFailed
            Its data are not here, so a version that is trained on new data alone would forget them.
        """
        about = version.manifest.data
        checksum = str(about.get("sha256", ""))
        if self._path(checksum).is_file():
            return self.load(checksum)
        try:
            limit = about.get("train")
            found = data.load(str(about.get("name", "")), limit=limit, seed=version.manifest.seed or 0)
        except LabError:
            found = None
        if found is None or found.checksum != checksum:
            message = f"The data of {version} are not here. Trained on new data alone, a version forgets the old."
            raise GateFailed(message, "Keep the folder of the work, or publish from a data set of mlops_lab.data.")
        return found, None

    def _path(self, checksum: str) -> Path:
        return self._folder / f"{checksum}.npz"


def joined(*splits: Split) -> Split:
    """Return splits as one.

    Examples
    --------
    >>> one = Split(np.zeros((2, 8, 8), np.uint8), np.zeros(2, np.int64))
    >>> len(joined(one, one))
    4
    """
    return Split(np.concatenate([one.images for one in splits]), np.concatenate([one.labels for one in splits]))
