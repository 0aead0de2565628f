"""Requests that schemathesis makes up from /openapi.json: what it describes is what the server does."""

import base64
import io

import numpy as np
import pytest

from mlops_lab.engines.python import PythonEngine
from mlops_lab.errors import LabError
from mlops_lab.image import InputSpec, decode, encode_png
from mlops_lab.predict import Predictor
from mlops_lab.serve import create_app

schemathesis = pytest.importorskip("schemathesis")
from hypothesis import HealthCheck, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from schemathesis.specs.openapi.checks import (  # noqa: E402
    allow_header_conformance,
    positive_data_acceptance,
    unsupported_method,
)

pytestmark = [
    pytest.mark.slow,
    # NumPy's word about a number that no float32 can hold; the server refuses it then.
    pytest.mark.filterwarnings("ignore:overflow encountered in cast"),
]
EXAMPLES = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))


def predictor(name, spec, labels):
    engine = PythonEngine(lambda inputs: np.full((len(inputs), len(labels)), 1 / len(labels), np.float32))
    return Predictor(name, 1, spec, labels, engine, {"name": name, "version": "v1", "labels": list(labels)})


def to_npy(array):
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


# Small images, so that what schemathesis makes up may be a whole one; both models take arrays of one shape.
SHAPE = (2, 3)
MODELS = [
    predictor("tiny", InputSpec((*SHAPE, 1), size=SHAPE), ("a", "b")),
    predictor("flat", InputSpec(SHAPE), ("x", "y", "z")),
]
# An array whose numbers are all 0 or 1 is refused, which no schema can say.
LEVELS = st.integers(2, 255)
PNGS = st.tuples(st.integers(1, 9), st.integers(1, 9), LEVELS).map(
    lambda made: encode_png(np.full(made[:2], made[2], np.uint8))
)
# What schemathesis cannot know: what an image and an array look like.
for kind in ("image/png", "image/jpeg"):
    schemathesis.openapi.media_type(kind, PNGS)
schemathesis.openapi.media_type(
    "application/x-npy", st.tuples(st.integers(1, 4), LEVELS).map(lambda n: to_npy(np.full((n[0], *SHAPE), n[1])))
)
schemathesis.openapi.format("image", PNGS.map(lambda data: base64.b64encode(data).decode()))
schemathesis.openapi.format("binary", PNGS)

# What is over a limit is refused with 413, which schemathesis does not count as a refusal by itself.
REFUSALS = ["400", "401", "404", "405", "413", "415"]
CHECKS = {"negative_data_rejection": {"expected-statuses": REFUSALS}}
KEY = {"X-API-Key": "open sesame"}


def described(app, **options):
    """Return the tests that an application's document asks for."""
    config = schemathesis.Config.from_dict({"checks": CHECKS})
    return schemathesis.openapi.from_wsgi("/openapi.json", app, config=config, **options)


api = described(create_app(MODELS))
secured = described(create_app(MODELS, api_keys=[*KEY.values()]), headers=KEY)


def is_image(text):
    try:
        decode(base64.b64decode(text.rpartition(",")[2], validate=True))
    except (ValueError, LabError):
        return False
    return True


def texts(body):
    """Return the strings in a JSON body where images belong."""
    images = body.get("images") if isinstance(body, dict) else None
    items = [*images] if isinstance(images, list) else [body.get("image")] if isinstance(body, dict) else []
    return [item for item in items if isinstance(item, str)]


def arrays(body):
    """Return the lists in a JSON body where images belong."""
    images = body.get("images") if isinstance(body, dict) else None
    items = [*images] if isinstance(images, list) else [body.get("image")] if isinstance(body, dict) else []
    return [item for item in items if isinstance(item, list)]


def is_dim(pixels):
    try:
        return np.asarray(pixels, float).max(initial=0) <= 1
    except (TypeError, ValueError):
        return False


def numbers(body):
    """Yield every number in a JSON body."""
    if isinstance(body, dict | list):
        for item in (value for key, value in body.items() if key != "shape") if isinstance(body, dict) else body:
            yield from numbers(item)
    elif isinstance(body, int | float):
        yield body


def is_scaled(body):
    return all(0 <= number <= 1 for number in numbers(body))


def consistent(body):
    try:
        entry = body["inputs"][0]
        sizes = np.shape(entry["data"]) in (tuple(entry["shape"]), (np.prod(entry["shape"]),))
        return sizes and set(map(type, entry["shape"])) == {int}
    except (LookupError, TypeError, ValueError):  # which is none of this function's business
        return True


def validate(case):
    """Send a request and check the answer, but for what a schema cannot say, or schemathesis cannot send."""
    excluded = []
    if case.media_type == "application/json" and not all(map(is_image, texts(case.body))):
        # A string that begins like an image satisfies the schema; whether it is a whole one, no schema can say.
        excluded.append(positive_data_acceptance)
    if case.media_type == "application/json" and any(map(is_dim, arrays(case.body))):
        # Pixels that are all 0 or 1 are a mask or were scaled, and are refused: no schema can say that of all at once.
        excluded.append(positive_data_acceptance)
    if case.operation.path.startswith(("/v1/models/tiny", "/v2/models/tiny")) and not is_scaled(case.body):
        # A tensor of images holds what pixels become for the model; its numbers are judged together, by no schema.
        excluded.append(positive_data_acceptance)
    if case.media_type == "multipart/form-data":
        # The parts of an array are sent without file names, so they are text and no files.
        excluded.append(positive_data_acceptance)
    if case.operation.path.endswith("/infer") and not consistent(case.body):
        # That there are as many numbers as the shape says, no schema can say, nor that 1.0 is no whole number.
        excluded.append(positive_data_acceptance)
    if case.operation.path.startswith("/v1/"):
        # TensorFlow Serving calls another verb a malformed request: 400 and not 405.
        excluded += [unsupported_method, allow_header_conformance]
    if case.operation.path.endswith("/traffic"):
        # POST there asks a version of that name, which does not exist: 404 and not 405.
        excluded += [unsupported_method, allow_header_conformance]
    case.call_and_validate(excluded_checks=excluded)


@secured.auth()
class Key:
    """Sends the key, but where schemathesis tries what happens without."""

    def get(self, case, context):
        return KEY["X-API-Key"]

    def set(self, case, data, context):
        case.headers["X-API-Key"] = data


@api.parametrize()
@EXAMPLES
def test_the_server_does_what_the_document_says(case):
    validate(case)


@secured.parametrize()
@EXAMPLES
def test_it_does_so_with_keys_too(case):
    validate(case)
