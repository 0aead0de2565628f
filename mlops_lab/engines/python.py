"""A plain Python function as a model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray


class PythonEngine:
    """Anything callable that takes ``(n, *shape)`` and returns ``(n, classes)``.

    Examples
    --------
    >>> PythonEngine(lambda inputs: [[1.0, 0.0]] * len(inputs)).predict(np.zeros((2, 4), np.float32)).shape
    (2, 2)
    """

    def __init__(self, function: Callable[[NDArray[np.float32]], Any]) -> None:
        self._function = function

    def predict(self, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return ``(n, classes)``."""
        return np.asarray(self._function(inputs), dtype=np.float32)
