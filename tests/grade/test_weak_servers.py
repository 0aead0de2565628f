"""The weak servers of grade-3: each falls to what it is weak against, and none to an honest client."""

import io

import pytest
from corpus.grade_sources import ATTACKS
from corpus_types import defined
from PIL import Image

from mlops_lab.grade.http import form
from mlops_lab.grade.rubric.weak_servers import ROUTE, WEAK, Attack


def png(width=28, height=28, mode="L"):
    buffer = io.BytesIO()
    Image.new(mode, (width, height)).save(buffer, format="PNG")
    return buffer.getvalue()


BODY, KIND = form("image", png())
ROWS = str([[0] * 28] * 28).encode()
HONEST = {
    "a body": Attack(body=png()),
    "a form": Attack(kind=KIND, body=BODY),
    "rows in JSON": Attack(kind="application/json", body=b'{"image": ' + ROWS + b"}"),
    "a description": Attack("GET"),
    "another model": Attack("GET", "/models/digits/v1.2"),
    "a few at once": Attack(body=png(), times=8),
    "a slow line": Attack(body=png(), pause=0.2),
}
TRIED = [Attack(**one) for one in defined(ATTACKS, ("attacks",))["attacks"]]


@pytest.mark.parametrize("honest", HONEST)
def test_no_weak_server_falls_to_an_honest_client(honest):
    assert {name: fell for name, (_, weak) in WEAK.items() if (fell := weak(HONEST[honest]))} == {}


@pytest.mark.parametrize("name", WEAK)
def test_each_weak_server_falls(name):
    assert any(WEAK[name][1](one) for one in TRIED)


@pytest.mark.parametrize("body", [b"", b"\x89PNG\r\n\x1a\n", b"\xff" * 50, png()[:40], b"[" * 100_000, b"\x00"])
@pytest.mark.parametrize(
    "kind", ["image/png", "application/json", "multipart/form-data", "multipart/form-data; boundary=\u00fc", ""]
)
def test_whatever_is_sent_breaks_no_check(body, kind):
    for _, weak in WEAK.values():
        assert isinstance(weak(Attack(path=ROUTE, kind=kind, body=body)), str)
