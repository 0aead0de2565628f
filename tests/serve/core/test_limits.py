import dataclasses

import pytest

from mlops_lab.serve import Limits


def test_the_defaults_are_the_design_s():
    limits = Limits()
    assert limits.body_bytes == 2 * 1024 * 1024
    assert (limits.image_pixels, limits.image_side) == (4_000_000, 4096)
    assert (limits.batch, limits.json_depth) == (256, 8)
    assert (limits.headers, limits.header_bytes) == (100, 16 * 1024)
    assert (limits.idle_seconds, limits.drain_seconds) == (15, 10)


def test_limits_do_not_change():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Limits().batch = 1
