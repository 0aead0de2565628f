"""Old names that still work: a release before they go they warn, and name the new ones."""

from __future__ import annotations

import warnings


def warn_renamed(old: str, new: str) -> None:
    """Warn the caller of the function that calls this.

    Examples
    --------
    >>> import pytest
    >>> with pytest.warns(DeprecationWarning, match="use fingerprint"):
    ...     warn_renamed("ModelStore.mark", "fingerprint")
    """
    warnings.warn(f"{old} has been renamed: use {new}. The old name goes in 0.3.", DeprecationWarning, stacklevel=3)
