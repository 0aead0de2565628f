"""NannyML's verdict on windows that benchmarks/drift.py wrote: python judge.py FOLDER DATASET …

Confidence-based performance estimation (CBPE) of the accuracy, at its defaults but for the size of a chunk, which is
that of a window: an alert is an estimate beyond three standard deviations of the reference's chunks.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

os.environ["NML_DISABLE_USAGE_LOGGING"] = "1"

import nannyml as nml
import numpy as np
import pandas as pd


def judge(windows: Path, result: Path) -> None:
    """Judge every window of a split."""
    about = json.loads(windows.with_suffix(".json").read_text(encoding="utf-8"))
    arrays, columns = np.load(windows), about["columns"]
    outputs = [name for name in columns if name[0] == "p" and name[1:].isdigit()]

    def frame(values: np.ndarray) -> pd.DataFrame:
        table = pd.DataFrame(values, columns=columns)
        table["class"] = table["class"].astype(int).astype(str)
        table[outputs] = table[outputs].div(table[outputs].sum(axis=1), axis=0)
        return table

    reference = frame(arrays["reference"])
    reference["truth"] = arrays["reference_truth"].astype(str)
    estimator = nml.CBPE(
        problem_type="classification_multiclass",
        y_pred_proba={name[1:]: name for name in outputs},
        y_pred="class",
        y_true="truth",
        metrics=["accuracy"],
        chunk_size=len(arrays["window_0"]),
    )
    estimator.fit(reference)
    usual = float((reference["class"] == reference["truth"]).mean())
    rows = []
    for place, window in enumerate(about["windows"]):
        started = time.perf_counter()
        found = estimator.estimate(frame(arrays[f"window_{place}"])).filter(period="analysis").to_df()
        estimate, alert = (float(found[("accuracy", name)].iloc[0]) for name in ("value", "alert"))
        said = {"estimate": estimate, "usual": usual, "alert": bool(alert)}
        rows.append({**window, **said, "seconds": time.perf_counter() - started})
    result.write_text(json.dumps(rows), encoding="utf-8")


def main(folder: Path, datasets: list[str]) -> None:
    """Judge the splits that have not been judged."""
    for windows in sorted(folder.glob("*.npz")):
        result = windows.with_suffix(".nannyml.json")
        if windows.name.rpartition("-")[0] in datasets and not result.exists():
            judge(windows, result)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
