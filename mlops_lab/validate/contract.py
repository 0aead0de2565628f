"""Integration tests: the server keeps the contract that its clients were written against.

Each check is one small function over a :class:`ServerUnderTest` that returns what it saw, or raises. ``CHECKS`` lists
which of them apply to which server: ours (``lab``), one with the course's two routes (``course``), TensorFlow Serving
(``tfserving``).
"""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from mlops_lab.errors import LabError, WrongUsage
from mlops_lab.findings import Finding
from mlops_lab.store.version import ModelVersion
from mlops_lab.validate.report import Report, ask, examine, skip
from mlops_lab.validate.target import KINDS, ServerUnderTest, expect, refused

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
FACTS = ("number_of_parameters", "labels", "input", "metrics")


def check_contract(
    url: str, version: ModelVersion, *, address: str = "", kind: str = "", api_key: str | None = None
) -> Report:
    """Ask a server everything that the clients of a version rely on.

    Parameters
    ----------
    url
        Address of our server, of TensorFlow Serving, or of your own.
    version
        The published version, from :meth:`mlops_lab.store.ModelStore.get`; its golden examples are what is expected.
    address
        The version in the URL; by default its number, ``"v2"``. An alias such as ``"production"`` must lead to it.
    kind
        ``"lab"``, ``"course"`` (the two routes of the course) or ``"tfserving"``; by default the server is asked.
    api_key
        Key of the server, as for :class:`mlops_lab.serve.Client`.

    Returns
    -------
    Report

    Raises
    ------
    WrongUsage
        There is no such kind of server.

    Examples
    --------
    >>> from mlops_lab import serve, store
    >>> with serve.start("models", name="example") as server:
    ...     check_contract(server.url, store.ModelStore("models").get("clothes", 1)).passed
    True
    """
    if kind and kind not in KINDS:
        raise WrongUsage(f"There is no kind of server called {kind!r}.", f"Take one of: {', '.join(KINDS)}.")
    target = ServerUnderTest(url, version, address or f"v{version.version}", api_key=api_key)
    return examine(f"Contract of {version}", target.url, _asked(target, kind))


def _asked(target: ServerUnderTest, kind: str) -> Iterator[Finding]:
    try:
        found = kind or target.kind()
    except LabError as error:
        yield Finding(False, error.message, error.hint, name="answers")
        return
    for check, kinds in CHECKS.items():
        name = check.__name__.replace("_", " ")
        if found in kinds:
            yield ask(name, lambda check=check: check(target))  # type: ignore[misc]
        else:
            yield skip(name, f"not asked of a server of the kind {found}")


def alive(target: ServerUnderTest) -> str:
    """Ask whether the process is well."""
    said = target.get("/healthz")
    expect(said == {"status": "alive"}, f"/healthz says {said}")
    return "GET /healthz says so"


def ready(target: ServerUnderTest) -> str:
    """Ask whether it would answer, and with which versions."""
    said = target.get("/readyz")
    listed = {model["name"]: model["versions"] for model in said["models"]}
    expect(target.number in listed.get(target.name, []), f"/readyz lists {listed}, without {target.published}")
    return f"GET /readyz lists {target.published}"


def listed(target: ServerUnderTest) -> str:
    """Ask for the list of models."""
    names = {model["name"]: model for model in target.client.models()}
    versions = names.get(target.name, {}).get("versions", [])
    expect(target.number in versions, f"the list has {versions} of {target.name}")
    return f"{target.name} has {', '.join(versions)}"


def described(target: ServerUnderTest) -> str:
    """Ask for the description: it is the one that was published."""
    said = target.client.info(target.name, target.address)
    missing = [repr(key) for key in ("name", "version") if key not in said]
    expect(not missing, f"the answer of GET {target.path} lacks {' and '.join(missing)}")
    expect((said["name"], said["version"]) == (target.name, target.number), f"it is {said['name']} {said['version']}")
    published = target.manifest.public()
    differing = [key for key in FACTS if key in said and said[key] != published[key]]
    differences = "; ".join(
        f"{key} is {str(said[key])[:80]}, published as {str(published[key])[:80]}" for key in differing
    )
    expect(not differing, differences)
    return f"it is {target.published}, as published"


def golden_examples(target: ServerUnderTest) -> str:
    """Send the golden examples one by one: the answers are the manifest's."""
    wanted = target.manifest.golden
    answers = [target.client.classify(target.name, target.address, one)[0] for one in target.images]
    return _compared(target, [answer.probabilities for answer in answers], wanted.tolerance)


def in_one_request(target: ServerUnderTest) -> str:
    """Send the golden examples in one request: as many answers, in order."""
    answers = target.client.classify(target.name, target.address, list(target.manifest.golden.inputs))
    return _compared(target, [answer.probabilities for answer in answers], target.manifest.golden.tolerance)


def _compared(target: ServerUnderTest, rows: list[tuple[float, ...]], tolerance: float) -> str:
    outputs = target.manifest.golden.outputs
    expect(np.shape(rows) == outputs.shape, f"the answers have the shape {np.shape(rows)}, not {outputs.shape}")
    largest = float(np.abs(np.array(rows) - outputs).max())
    expect(largest <= tolerance, f"answers differ from the manifest's by up to {largest:.2g}; allowed is {tolerance:g}")
    return f"{len(rows)} answers are the manifest's to {largest:.1g}"


def prediction(target: ServerUnderTest) -> str:
    """Look at one answer: version, label, class, confidence and probabilities belong together."""
    said = target.client.classify(target.name, target.address, target.images[0]).response
    first = said["predictions"][0]
    expect(said["version"] == target.number, f"{said['version']} answered")
    shares, labels = first["probabilities"], target.manifest.labels
    expect(first["class"] == int(np.argmax(shares)), f"class {first['class']} is not the most probable one")
    expect(first["confidence"] == max(shares), f"the confidence is {first['confidence']}, not {max(shares)}")
    expect(first["label"] == labels[first["class"]], f"class {first['class']} is called {first['label']!r}")
    return f"{target.number} says {first['label']!r}"


def every_body(target: ServerUnderTest) -> str:
    """Send one image in each form that a body may have: the answer is the same."""
    pixels = target.manifest.golden.inputs[0]
    buffer = io.BytesIO()
    np.save(buffer, pixels[None], allow_pickle=False)
    npy = {"data": buffer.getvalue(), "headers": {"Content-Type": "application/x-npy"}}
    forms: dict[str, dict[str, Any]] = {"npy": npy, "numbers": {"json": {"image": pixels.tolist()}}}
    drawn = target.images[0]
    if isinstance(drawn, bytes):
        forms["PNG"] = {"data": drawn, "headers": {"Content-Type": "image/png"}}
        forms["base64"] = {"json": {"images": [base64.b64encode(drawn).decode()]}}
        forms["form"] = {"files": [("image", ("image.png", drawn))]}
    answers = {name: target.send("POST", target.path, **options) for name, options in forms.items()}
    refusals = {name: answer.status_code for name, answer in answers.items() if answer.status_code != 200}
    expect(not refusals, f"refused: {refusals}")
    said = {name: answer.json()["predictions"] for name, answer in answers.items()}
    expect(all(one == said["npy"] for one in said.values()), "the same image is answered differently")
    return f"the same answer to {', '.join(forms)}"


def default_address(target: ServerUnderTest) -> str:
    """Ask without a version: ``production`` answers. Asked only where this is the version in production."""
    answer = target.send("GET", f"/models/{target.name}").json()
    if answer["aliases"].get("production") != target.number:
        return f"production is {answer['aliases'].get('production', 'nothing')}, not {target.number}"
    said = target.client.classify(target.name, "production", target.images[0]).response["version"]
    expect(said == target.number, f"/models/{target.name}/production is answered by {said}")
    return f"/models/{target.name} leads to {said}"


def unknown_names(target: ServerUnderTest) -> str:
    """Ask for a model and a version that there are not: 404, and JSON that says so."""
    for path in (f"/models/no-such-{target.name[:40]}/v1", f"/models/{target.name}/v999999"):
        message = refused(target, "GET", path, 404)
        expect(bool(message.get("code") and message.get("request_id")), f"{path} has no code or request_id: {message}")
    return "404, with what there is"


def unknown_model(target: ServerUnderTest) -> str:
    """Ask for a model that there is not: 404."""
    path = f"/models/no-such-{target.name[:40]}/v1"
    answer = target.send("GET", path)
    expect(answer.status_code == 404, f"{path} answered {answer.status_code}")
    return "404"


def unknown_servable(target: ServerUnderTest) -> str:
    """Ask TensorFlow Serving for a model that it has not: 404 and an error in JSON."""
    refused(target, "GET", f"/v1/models/no-such-{target.name[:40]}", 404)
    return "404, in JSON"


def bad_bodies(target: ServerUnderTest) -> str:
    """Send what is no image, of no kind, and with the wrong verb: 400, 415 and 405."""
    refused(target, "POST", target.path, 400, data=b"{", headers={"Content-Type": "application/json"})
    refused(target, "POST", target.path, 415, data=b"hello", headers={"Content-Type": "text/plain"})
    refused(target, "DELETE", target.path, 405)
    return "400, 415 and 405, in JSON"


def no_image(target: ServerUnderTest) -> str:
    """Send what is no image: the request is refused, and the server goes on."""
    answer = target.send("POST", target.path, data=b"no image", headers={"Content-Type": "image/png"})
    expect(400 <= answer.status_code < 500, f"10 bytes of text as image/png were answered {answer.status_code}")
    return f"{answer.status_code}"


def headers(target: ServerUnderTest) -> str:
    """Look at the headers: request id and trace come back, JSON is called JSON."""
    answer = target.send("GET", target.path, headers={"X-Request-Id": "from-the-client", "traceparent": TRACE})
    found = answer.headers
    expect(found.get("X-Request-Id") == "from-the-client", f"X-Request-Id came back as {found.get('X-Request-Id')!r}")
    expect(found.get("traceparent") == TRACE, f"traceparent came back as {found.get('traceparent')!r}")
    expect(found.get("Content-Type") == "application/json", f"the content type is {found.get('Content-Type')!r}")
    return "X-Request-Id and traceparent come back"


def other_dialects(target: ServerUnderTest) -> str:
    """Ask as clients of TensorFlow Serving and of the Open Inference Protocol do."""
    number = target.number[1:]
    state = target.get(f"/v1/models/{target.name}/versions/{number}")["model_version_status"][0]["state"]
    expect(state == "AVAILABLE", f"/v1 says {state}")
    about = target.get(f"/v2/models/{target.name}/versions/{number}/ready")
    expect(about.get("ready") is True, f"/v2 says {about}")
    return "/v1 and /v2 have it too"


def operations(target: ServerUnderTest) -> str:
    """Ask for what operators and tools read: the metrics, and the description of the routes."""
    answer = target.send("GET", "/metrics")
    expect(answer.ok and "# TYPE" in answer.text, f"/metrics answered {answer.status_code}")
    routes = target.get("/openapi.json")["paths"]
    expect(any(path.startswith(f"/models/{target.name}") for path in routes), f"/openapi.json has no {target.path}")
    return "/metrics and /openapi.json are there"


ContractCheck = Callable[[ServerUnderTest], str]
CHECKS: dict[ContractCheck, tuple[str, ...]] = {
    alive: ("lab",),
    ready: ("lab",),
    listed: ("lab", "tfserving"),
    described: ("lab", "course", "tfserving"),
    golden_examples: ("lab", "course", "tfserving"),
    in_one_request: ("lab", "tfserving"),
    prediction: ("lab", "course", "tfserving"),
    every_body: ("lab",),
    default_address: ("lab",),
    unknown_names: ("lab",),
    unknown_model: ("course",),
    unknown_servable: ("tfserving",),
    bad_bodies: ("lab",),
    no_image: ("lab", "course"),
    headers: ("lab",),
    other_dialects: ("lab",),
    operations: ("lab",),
}
