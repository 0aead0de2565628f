"""Import Keras without TensorFlow's greeting.

TensorFlow's C++ part writes start-up lines straight to file descriptor 2, past ``sys.stderr``, whatever level is set.
A notebook shows them in red, and nbgrader takes any of them for a failed cell.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType


def import_keras() -> ModuleType:
    """Return Keras on TensorFlow, imported in silence. Takes some seconds the first time.

    Raises
    ------
    MissingPackage
        TensorFlow is not installed.
    """
    if "keras" not in sys.modules or "tensorflow" not in sys.modules:
        # A level and a backend that the user has set are left alone.
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        os.environ.setdefault("KERAS_BACKEND", "tensorflow")
        try:
            with _silent_stderr():
                import tensorflow  # noqa: F401
        except ModuleNotFoundError as error:
            from mlops_lab.errors import MissingPackage

            raise MissingPackage("TensorFlow is not installed.", "pip install tensorflow") from error
    import keras

    module: ModuleType = keras
    return module


@contextmanager
def _silent_stderr() -> Iterator[None]:
    """Send file descriptor 2 to a file; show what was written only when the import fails."""
    sys.stderr.flush()
    try:
        saved = os.dup(2)
    except OSError:  # no standard error at all, as under pythonw
        yield
        return
    with tempfile.TemporaryFile() as sink:
        os.dup2(sink.fileno(), 2)
        try:
            yield
        except BaseException:
            os.dup2(saved, 2)
            sink.seek(0)
            os.write(2, sink.read())
            raise
        finally:
            os.dup2(saved, 2)
            os.close(saved)
