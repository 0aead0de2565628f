"""Evidently's verdict on windows that benchmarks/drift.py wrote: python judge.py FOLDER DATASET …

Its preset for data drift at its defaults: each column by the test that it picks, the data set when half of the columns
have drifted. The share of drifted columns is kept too, so that a threshold can be calibrated on quiet windows.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
from evidently import DataDefinition, Dataset, Report
from evidently.presets import DataDriftPreset


def judge(windows: Path, result: Path) -> None:
    """Judge every window of a split, and go on where an earlier run was interrupted."""
    about = json.loads(windows.with_suffix(".json").read_text(encoding="utf-8"))
    arrays, columns = np.load(windows), about["columns"]
    definition = DataDefinition(numerical_columns=columns[:-1], categorical_columns=columns[-1:])

    def dataset(values: np.ndarray) -> Dataset:
        frame = pd.DataFrame(values, columns=columns).astype({columns[-1]: int})
        return Dataset.from_pandas(frame, data_definition=definition)

    reference = dataset(arrays["reference"])
    rows = json.loads(result.read_text(encoding="utf-8")) if result.exists() else []
    for place in range(len(rows), len(about["windows"])):
        started = time.perf_counter()
        found = Report([DataDriftPreset()]).run(dataset(arrays[f"window_{place}"]), reference).dict()
        drifted = next(one["value"] for one in found["metrics"] if "DriftedColumnsCount" in str(one))
        seconds = time.perf_counter() - started
        rows.append({**about["windows"][place], "share": float(drifted["share"]), "seconds": seconds})
        result.with_suffix(".tmp").write_text(json.dumps(rows), encoding="utf-8")
        result.with_suffix(".tmp").replace(result)


def main(folder: Path, datasets: list[str]) -> None:
    """Judge the splits, one of each data set at a time."""
    by_split = sorted(folder.glob("*.npz"), key=lambda path: path.stem.rpartition("-")[::-1])
    for windows in by_split:
        if windows.name.rpartition("-")[0] in datasets:
            judge(windows, windows.with_suffix(".evidently.json"))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
