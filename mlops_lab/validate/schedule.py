"""When each request of a load test is due: at a steady rate, on a ramp, with a spike, or in steps."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mlops_lab.errors import WrongUsage, nearest

# Each shape as pieces: a share of the time, and the rate at its start and at its end, as shares of the rate.
Piece = tuple[float, float, float]
SHAPES: dict[str, tuple[Piece, ...]] = {
    "steady": ((1.0, 1.0, 1.0),),
    "ramp": ((1.0, 0.0, 1.0),),
    "spike": ((0.4, 0.2, 0.2), (0.2, 1.0, 1.0), (0.4, 0.2, 0.2)),
    "steps": tuple((0.2, share, share) for share in (0.2, 0.4, 0.6, 0.8, 1.0)),
    "soak": ((1.0, 1.0, 1.0),),
}


def due_times(rate: float, seconds: float, shape: str = "steady") -> NDArray[np.float64]:
    """Return when each request is due, in seconds from the start.

    Parameters
    ----------
    rate
        Requests a second, at the highest.
    seconds
        For how long.
    shape
        ``"steady"``, ``"ramp"`` (from none to the rate), ``"spike"`` (a fifth of the rate, with the whole of it for a
        fifth of the time), ``"steps"`` (five, each for a fifth) or ``"soak"`` (steady, and meant to be long).

    Examples
    --------
    >>> due_times(4, 1).tolist()
    [0.0, 0.25, 0.5, 0.75]
    >>> len(due_times(100, 2, "ramp"))
    100
    """
    if shape not in SHAPES:
        raise WrongUsage(f"There is no load of the shape {shape!r}.", nearest(shape, SHAPES))
    return _times(rate, seconds, SHAPES[shape])


def _times(rate: float, seconds: float, pieces: Sequence[Piece]) -> NDArray[np.float64]:
    """Return the times at which the integral of the rate passes 0, 1, 2 and so on."""
    grid = np.linspace(0, seconds, 20_001)
    levels = np.empty_like(grid)
    started = 0.0
    for share, low, high in pieces:
        length = share * seconds
        inside = (grid >= started - 1e-12) & (grid <= started + length + 1e-12)
        levels[inside] = rate * (low + (high - low) * (grid[inside] - started) / length)
        started += length
    due = np.concatenate([[0.0], np.cumsum((levels[1:] + levels[:-1]) / 2 * np.diff(grid))])
    return np.interp(np.arange(int(due[-1] + 1e-6)), due, grid)
