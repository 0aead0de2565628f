"""Pickles and joblib files: code that runs when it is loaded, so only for bytes whose author you trust by digest."""

from __future__ import annotations

import io
import os
from typing import Any

from mlops_lab.errors import DamagedArtifact, MissingPackage, WrongUsage
from mlops_lab.store import safety
from mlops_lab.store.safety import ModelFile

# The audit's words for them, whatever the name of the file. A pickle in an archive is PyTorch's, and not ours to load.
PICKLES = ("pickle", "pickle_compressed")


def load_pickle(path: ModelFile, *, trust: bool = False, sha256: str | None = None) -> Any:
    """Load a scikit-learn estimator that was pickled, or saved by joblib, compressed or not.

    Loading such a file runs whatever its author wrote into it; no audit can tell. So the caller names the author's
    digest, and what was hashed is what is loaded. Where you can choose, save with skops instead:
    ``models.publish(run, name)`` does.

    Parameters
    ----------
    path
        A path, or the bytes themselves.
    trust
        Whether you know who made the file.
    sha256
        The digest that its author gave you (``sha256sum model.joblib``, or ``hashlib.sha256(data).hexdigest()``).

    Raises
    ------
    UnsafeFile
        It is not trusted, has another digest, or is a link or too large.
    WrongUsage
        It is no pickle: another function loads it without this risk.
    DamagedArtifact
        It does not load: it is cut short, or needs a package or version that is not here.

    Examples
    --------
    >>> import hashlib, pickle
    >>> data = pickle.dumps({"weights": [1.0, 2.0]})
    >>> load_pickle(data, trust=True, sha256=hashlib.sha256(data).hexdigest())
    {'weights': [1.0, 2.0]}
    """
    source = safety.read(path)
    name = "the bytes" if isinstance(path, bytes | safety.Source) else os.fspath(path)
    found = safety.inspect(source)
    if found.code not in PICKLES:
        raise WrongUsage(f"{name} is not a pickle but {found.format}.", "See what loads it: mlops-lab check FILE.")
    safety.require_pin(source.data, trust=trust, sha256=sha256)
    try:
        import joblib
    except ModuleNotFoundError as error:
        raise MissingPackage("joblib is not installed.", "pip install scikit-learn") from error
    try:
        return joblib.load(io.BytesIO(source.data))
    except Exception as error:  # whatever the pickled classes raise
        reason = (str(error).strip().splitlines() or [type(error).__name__])[-1][:300]
        raise DamagedArtifact(
            f"{name} does not load: {reason}", "Install what its author used, or get the file again."
        ) from error
