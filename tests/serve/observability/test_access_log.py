import http.client
import io
import json
import os
import re
import subprocess
import sys

import numpy as np
import pytest

from mlops_lab.image import encode_png
from mlops_lab.serve import create_app
from mlops_lab.serve.observability.access_log import AccessLog, trace_id

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PNG = encode_png(np.zeros((28, 28), np.uint8))


@pytest.fixture
def logged(bright):
    stream = io.StringIO()
    client = create_app([bright], access_log=stream).test_client()
    return client, lambda: [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_prediction_is_one_line(logged):
    client, lines = logged
    headers = {"X-Request-Id": "mine-1", "traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"}
    answer = client.post("/models/bright/latest?q=1", data=PNG, content_type="image/png", headers=headers)
    (line,) = lines()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line.pop("time"))
    assert line.pop("ms") > 0
    assert line == {
        "request_id": "mine-1",
        "trace_id": TRACE,
        "method": "POST",
        "route": "/models/<name>/<version>",
        "path": "/models/bright/latest",
        "status": 200,
        "bytes_in": len(PNG),
        "bytes": len(answer.data),
        "model": "bright",
        "version": "v1",
    }


@pytest.mark.parametrize("path, status", [("/nowhere", 404), ("/models/nobody", 404), ("/healthz", 200)])
def test_errors_are_logged_too(logged, path, status):
    client, lines = logged
    answer = client.get(path)
    (line,) = lines()
    assert (line["status"], line["path"], line["model"]) == (status, path, None)
    assert line["request_id"] == answer.headers["X-Request-Id"]


def test_a_client_cannot_forge_a_line(logged):
    client, lines = logged
    client.get('/models/x%0A{"status": 200}%0D%E2%80%A8', headers={"traceparent": "00-\tx"})
    (line,) = lines()
    assert "\n" in line["path"]
    assert line["trace_id"] is None


class Broken(io.StringIO):
    def write(self, text):
        raise BrokenPipeError


def test_a_stream_that_breaks_costs_no_request(bright):
    closed = io.StringIO()
    closed.close()
    for stream in (Broken(), closed):
        assert create_app([bright], access_log=stream).test_client().get("/healthz").status_code == 200
        log = AccessLog(stream)
        log.write({})
        assert log.lost == 1


def test_by_default_nothing_is_written(bright, capfd):
    create_app([bright]).test_client().get("/healthz")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    "header, found",
    [
        (f"00-{TRACE}-00f067aa0ba902b7-01", TRACE),
        (f"01-{TRACE}-00f067aa0ba902b7-01-later", TRACE),
        (f"00-{'0' * 32}-00f067aa0ba902b7-01", None),
        (f"00-{TRACE}-{'0' * 16}-01", None),
        (f"00-{TRACE.upper()}-00f067aa0ba902b7-01", None),
        ("", None),
        ("x" * 10_000, None),
    ],
)
def test_trace_ids(header, found):
    assert trace_id(header) == found


@pytest.mark.skipif(os.name == "nt", reason="Windows ends a process without asking it")
@pytest.mark.parametrize("where", ["stdout", "stderr"])
def test_the_command_line_writes_the_log_and_asks_for_the_key(shared_models, where):
    command = [sys.executable, "-m", "mlops_lab", "serve", "--models", str(shared_models.root), "--port", "0"]
    environment = {**os.environ, "MLOPS_LAB_API_KEY": "one two"}
    with subprocess.Popen(
        [*command, "--access-log", where],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    ) as server:
        try:
            connection = http.client.HTTPConnection(server.stdout.readline().split("//")[1].strip(), timeout=30)
            statuses = []
            for headers in ({}, {"X-API-Key": "two"}):
                connection.request("GET", "/models", headers=headers)
                answer = connection.getresponse()
                answer.read()
                statuses.append(answer.status)
            connection.close()
        finally:
            server.terminate()
            said = dict(zip(("stdout", "stderr"), server.communicate(timeout=30), strict=True))
    assert statuses == [401, 200]
    assert [json.loads(line)["status"] for line in said[where].splitlines()] == [401, 200]
    assert server.returncode == 0
