"""Evidently's verdict on windows that benchmarks/drift.py exported: python judge.py WINDOWS.npz RESULT.json.

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


def main(windows: Path, result: Path) -> None:
    """Judge every window, and go on where an earlier run was interrupted."""
    about = json.loads(windows.with_suffix(".json").read_text(encoding="utf-8"))
    arrays, columns = np.load(windows), about["columns"]
    definition = DataDefinition(numerical_columns=columns[:-1], categorical_columns=columns[-1:])

    def dataset(values: np.ndarray) -> Dataset:
        frame = pd.DataFrame(values, columns=columns).astype({columns[-1]: int})
        return Dataset.from_pandas(frame, data_definition=definition)

    reference = dataset(arrays["reference"])
    rows = json.loads(result.read_text(encoding="utf-8")) if result.exists() else []
    # In an order drawn by chance, so that what was judged before an interruption is a sample of all.
    order = np.random.default_rng(0).permutation(len(about["windows"]))
    for place in order[len(rows) :].tolist():
        started = time.perf_counter()
        found = Report([DataDriftPreset()]).run(dataset(arrays[f"window_{place}"]), reference).dict()
        drifted = next(one["value"] for one in found["metrics"] if "DriftedColumnsCount" in str(one))
        seconds = time.perf_counter() - started
        rows.append({**about["windows"][place], "share": float(drifted["share"]), "seconds": seconds})
        result.write_text(json.dumps(rows), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
