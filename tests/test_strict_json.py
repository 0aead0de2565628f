import json

import pytest

from mlops_lab import strict_json


def test_ordinary_json_is_what_json_reads():
    document = {"a": [1, 2.5, -3e10, None, True, "ü"], "b": {"c": {}}}
    assert strict_json.loads(json.dumps(document).encode()) == document


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b'{"a": 1, "a": 2}', strict_json.DuplicateKeyError),
        (b'[{"b": {"a": 1, "a": 1}}]', strict_json.DuplicateKeyError),
        (b"[NaN]", strict_json.NotFiniteError),
        (b"-Infinity", strict_json.NotFiniteError),
        (b"[" * 200_000, strict_json.NestingError),
        ('{"a": 1}'.encode("utf-16"), UnicodeDecodeError),
        (b"\xff", UnicodeDecodeError),
        (b"\xef\xbb\xbf[]", ValueError),
        (b"9" * 5000, ValueError),
        (b"[1] 2", json.JSONDecodeError),
        (b"", json.JSONDecodeError),
    ],
)
def test_what_is_not_strict_json_is_a_value_error(data, error):
    with pytest.raises(error) as caught:
        strict_json.loads(data)
    assert isinstance(caught.value, ValueError)


def test_a_very_long_key_is_shortened():
    with pytest.raises(strict_json.DuplicateKeyError) as caught:
        strict_json.loads(b'{"%s": 1, "%s": 2}' % (b"k" * 10_000, b"k" * 10_000))
    assert len(str(caught.value)) < 200
