import json

import numpy as np


def test_predict_batch(lab, digits, tmp_path, shared_models):
    rows = tmp_path / "in.npz"
    np.savez(rows, image=digits.test.images[:150])
    at = ("--name", "digits", "--models", shared_models.root)
    status, out, err = lab("predict", "--batch", rows, tmp_path / "out.csv", *at, "--processes", 2, "--json")
    assert status == 0 and "150/150" in err
    report = json.loads(out)
    assert (report["rows"], report["failed"], report["version"]) == (150, 0, "v1")
    assert lab("predict", "--batch", rows, tmp_path / "out.csv", *at)[0] == 2
    status, out, _ = lab("predict", "--batch", rows, tmp_path / "out.csv", *at, "--overwrite")
    assert status == 0 and out.startswith("150 rows answered by digits v1; ")
    assert lab("predict", "image.png", "--batch", rows, tmp_path / "new.csv", *at)[0] == 2
    np.savez(tmp_path / "bad.npz", image=np.full((2, 8, 8), 300))
    assert lab("predict", "--batch", tmp_path / "bad.npz", tmp_path / "bad.csv", *at)[0] == 1
