import hashlib
import io
import pickle

import joblib
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from mlops_lab import store
from mlops_lab.errors import DamagedArtifact, UnsafeFile, WrongUsage

MODEL = LogisticRegression().fit(np.eye(4), [0, 1, 0, 1])


class Trap:
    """Creates a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def dumped(model, compress=0):
    out = io.BytesIO()
    joblib.dump(model, out, compress=compress)
    return out.getvalue()


def digest(data):
    return hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize(
    "data",
    [
        pickle.dumps(MODEL),
        pickle.dumps(MODEL, protocol=2),
        dumped(MODEL),
        *(dumped(MODEL, (kind, 3)) for kind in ("zlib", "gzip", "bz2", "lzma", "xz")),
    ],
    ids=["pickle", "pickle 2", "joblib", "zlib", "gzip", "bz2", "lzma", "xz"],
)
def test_a_trusted_file_with_its_digest(data, tmp_path):
    path = tmp_path / "model.pkl"
    path.write_bytes(data)
    model = store.load_pickle(path, trust=True, sha256=digest(data).upper())
    assert np.array_equal(model.predict_proba(np.eye(4)), MODEL.predict_proba(np.eye(4)))


@pytest.mark.parametrize(
    ("pin", "code"),
    [
        ({}, "needs_pin"),
        ({"trust": True}, "needs_pin"),
        ({"sha256": "DIGEST"}, "needs_pin"),
        ({"trust": 1, "sha256": "DIGEST"}, "needs_pin"),
        ({"trust": True, "sha256": "0" * 64}, "wrong_pin"),
        ({"trust": True, "sha256": "ü"}, "wrong_pin"),
    ],
)
@pytest.mark.parametrize("compress", [0, 3])
def test_nothing_runs_without_trust_and_the_right_digest(pin, code, compress, tmp_path):
    canary = tmp_path / "canary"
    data = dumped(Trap(canary), compress)
    pin = {key: digest(data) if value == "DIGEST" else value for key, value in pin.items()}
    with pytest.raises(UnsafeFile) as caught:
        store.load_pickle(data, **pin)
    assert caught.value.code == code
    assert not canary.exists()


def test_the_trap_is_real(tmp_path):
    data = dumped(Trap(tmp_path / "canary"))
    store.load_pickle(data, trust=True, sha256=digest(data)).close()
    assert (tmp_path / "canary").exists()


def test_what_was_hashed_is_what_is_loaded(tmp_path, monkeypatch):
    """Swap the file right after its digest was compared: the bytes that were judged are loaded all the same."""
    path, canary = tmp_path / "model.pkl", tmp_path / "canary"
    data = pickle.dumps(MODEL)
    path.write_bytes(data)
    judge = store.safety.require_pin

    def judge_and_swap(*arguments, **options):
        judge(*arguments, **options)
        path.write_bytes(pickle.dumps(Trap(canary)))

    monkeypatch.setattr(store.safety, "require_pin", judge_and_swap)
    assert isinstance(store.load_pickle(path, trust=True, sha256=digest(data)), LogisticRegression)
    assert not canary.exists()


def test_another_kind_of_file_is_told_from_a_pickle():
    with pytest.raises(WrongUsage, match="not a pickle"):
        store.load_pickle(b"PK\x03\x04 no", trust=True, sha256="0" * 64)


def test_a_pickle_cut_short():
    data = pickle.dumps(MODEL)[:-20]
    with pytest.raises(DamagedArtifact, match="does not load"):
        store.load_pickle(data, trust=True, sha256=digest(data))


def test_the_audit_names_the_way_out():
    report = store.safety.inspect(pickle.dumps(MODEL))
    assert not report.safe
    assert "store.load_pickle" in report.findings[0].hint
