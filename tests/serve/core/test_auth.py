import hmac

import numpy as np
import pytest

from mlops_lab.errors import WrongUsage
from mlops_lab.image import encode_png
from mlops_lab.serve import create_app
from mlops_lab.serve.core.auth import ApiKeys

PNG = encode_png(np.zeros((28, 28), np.uint8))


@pytest.fixture(scope="module")
def secured(bright):
    return create_app([bright], api_keys=["open sesame", "zweiter"]).test_client()


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "Bearer open sesame"},
        {"Authorization": "bearer  zweiter "},
        {"X-API-Key": "open sesame"},
    ],
)
def test_a_key_opens(secured, headers):
    assert secured.get("/models", headers=headers).status_code == 200
    answer = secured.post("/models/bright", data=PNG, content_type="image/png", headers=headers)
    assert answer.status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer open"},
        {"Authorization": "Basic open sesame"},
        {"Authorization": "Bearer ", "X-API-Key": "open sesame"},
        {"X-API-Key": "open sesame and more"},
        {"X-API-Key": "ungültig"},
    ],
)
@pytest.mark.parametrize("path", ["/models", "/metrics", "/openapi.json", "/nowhere", "/v1/models/bright"])
def test_without_a_key_everything_is_refused(secured, path, headers):
    answer = secured.get(path, headers=headers)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="mlops-lab"'
    assert answer.json["code"] == "unauthorized"
    assert "sesame" not in answer.text


@pytest.mark.parametrize(
    "path", ["/healthz", "/readyz", "/v2/health/live", "/v2/health/ready", "/", "/docs", "/pages/page.js"]
)
def test_health_and_the_empty_pages_stay_open(secured, path):
    assert secured.get(path).status_code == 200


def test_keys_are_compared_in_constant_time(monkeypatch):
    compared = []
    real = hmac.compare_digest
    monkeypatch.setattr("hmac.compare_digest", lambda a, b: compared.append((len(a), len(b))) or real(a, b))
    assert ApiKeys(["one", "a much longer key"]).accept("one")
    assert compared == [(32, 32), (32, 32)]


def test_an_empty_key_would_open_everything():
    with pytest.raises(WrongUsage, match="empty"):
        ApiKeys(["", "x"])


def test_one_key_may_be_a_string():
    keys = ApiKeys("secret")
    assert keys.accept("secret")
    assert not keys.accept("s")
