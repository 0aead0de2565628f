"""A log on a server: each answer is there under its id, and nothing that becomes of the log reaches a prediction."""

import asyncio
import sqlite3
import threading

import httpx
import pytest

from mlops_lab import serve
from mlops_lab.cli import commands
from mlops_lab.errors import WrongUsage
from mlops_lab.image import encode_png
from mlops_lab.monitor import PredictionLog, rehearsal, store_reference
from mlops_lab.monitor.database import connect
from mlops_lab.monitor.serving import attach_log
from mlops_lab.serve.state import state_of
from mlops_lab.summary.held_out import FILE, pack, summarise_held_out

PNG = {"content_type": "image/png"}


@pytest.fixture
def fast_retries(monkeypatch):
    monkeypatch.setattr("mlops_lab.monitor.writer.PAUSES", (0.0,))
    monkeypatch.setattr("mlops_lab.monitor.database.BUSY_SECONDS", 0.05)


@pytest.fixture
def log(tmp_path):
    with PredictionLog(tmp_path / "predictions.db") as log:
        yield log


@pytest.fixture
def client(log, bright):
    return serve.create_app([bright], log=log).test_client()


@pytest.fixture
def image(images):
    return encode_png(images[3])


def ids(path):
    database = connect(path)
    try:
        return [row[0] for row in database.run("SELECT request_id FROM predictions ORDER BY id")]
    finally:
        database.close()


def ask_on_the_loop(app, image):
    async def ask():
        transport = httpx.ASGITransport(serve.create_asgi(app))
        async with httpx.AsyncClient(transport=transport, base_url="http://lab") as client:
            return await client.post("/models/bright/v1", content=image, headers={"Content-Type": "image/png"})

    return asyncio.run(ask())


@pytest.mark.parametrize("durable", [False, True])
def test_each_answer_is_logged_under_its_request_id_by_every_road(tmp_path, bright, image, durable):
    path = tmp_path / "predictions.db"
    with PredictionLog(path, durable=durable, patience=20) as log:
        app = serve.create_app([bright], log=log)
        client = app.test_client()
        said = [
            client.post("/models/bright/v1", data=image, **PNG).headers["X-Request-Id"],
            ask_on_the_loop(app, image).headers["X-Request-Id"],
            client.post("/v1/models/bright:predict", json={"instances": [[[[0.5]] * 28] * 28]}).headers["X-Request-Id"],
        ]
        if durable:  # it was there before the answer went out
            assert ids(path) == said
    assert ids(path) == said


def test_only_a_hook_that_waits_keeps_predictions_off_the_event_loop(tmp_path, bright):
    for durable in (False, True):
        log = PredictionLog(tmp_path / "a.db", durable=durable)
        assert not state_of(serve.create_app([bright], log=log)).service.blocking
        assert state_of(serve.create_app([bright], on_prediction=log.append)).service.blocking is durable
        log.close()


@pytest.mark.parametrize("ends_well", [True, False])
def test_durable_answers_wait_for_one_commit_without_a_thread(tmp_path, bright, image, ends_well):
    groups, go_on = [], threading.Event()

    class Slow(PredictionLog):
        def _write(self, events):
            assert go_on.wait(20)
            groups.append(len(events))
            return super()._write(events)

    async def ask(app, log):
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://lab") as client:
            post = {"content": image, "headers": {"Content-Type": "image/png"}}
            asked = [asyncio.create_task(client.post("/models/bright/v1", **post)) for _ in range(20)]
            while ends_well and log.status.queued < 20:
                await asyncio.sleep(0.01)
            assert not ends_well or not any(task.done() for task in asked)
            if ends_well:
                go_on.set()
            answers = await asyncio.gather(*asked)
            assert app.dispatcher.pending == app.dispatcher._threads == 0
            go_on.set()
            return [answer.status_code for answer in answers]

    with Slow(tmp_path / "a.db", durable=True, patience=20 if ends_well else 0.01) as log:
        app = serve.create_asgi(serve.create_app([bright], log=log))
        app.service.registry.entries["bright"].seconds[1] = 0.0  # quick
        assert asyncio.run(ask(app, log)) == [200] * 20
        log.flush()
        assert log.status.written == 20 and log.status.late == (0 if ends_well else 20)
    assert len(groups) <= 2  # whatever came while the first was written
    assert len(set(ids(tmp_path / "a.db"))) == 20


def test_feedback_is_a_route(client, log, image):
    request_id = client.post("/models/bright", data=image, **PNG).headers["X-Request-Id"]
    answer = client.post("/models/bright/feedback", json={"request_id": request_id, "label": "dark"})
    assert answer.status_code == 200
    assert answer.json == {"request_id": request_id, "model": "bright", "label": "dark", "place": 0}
    assert log.read("bright").accuracy == 0.0


@pytest.mark.parametrize(
    ("model", "body", "status"),
    [
        ("bright", {"json": {"request_id": "none", "label": "dark"}}, 404),
        ("shoes", {"json": {"request_id": "none", "label": "dark"}}, 404),
        ("bright", {"json": {"label": "dark"}}, 400),
        ("bright", {"data": "{", "content_type": "application/json"}, 400),
        ("bright", {"data": b"x", "content_type": "image/png"}, 415),
    ],
)
def test_feedback_that_makes_no_sense_is_refused(client, model, body, status):
    answer = client.post(f"/models/{model}/feedback", **body)
    assert answer.status_code == status and answer.json["error"] and answer.json["request_id"]


def test_metrics_and_readiness_count_what_became_of_predictions(client, log, image):
    client.post("/models/bright", data=image, **PNG)
    client.post("/models/bright", data=image, headers={"X-Request-Id": "twice"}, **PNG)
    client.post("/models/bright", data=image, headers={"X-Request-Id": "twice"}, **PNG)
    log.flush()
    text = client.get("/metrics").text
    assert 'mlops_lab_log_predictions_total{outcome="written"} 2.0' in text
    assert 'mlops_lab_log_predictions_total{outcome="repeated"} 1.0' in text
    assert "mlops_lab_log_failing 0.0" in text
    found = client.get("/readyz").json["log"]
    assert found["state"] == "writing" and (found["written"], found["repeated"], found["failed"]) == (2, 1, 0)


@pytest.mark.parametrize("durable", [False, True])
def test_a_log_that_cannot_be_written_fails_no_prediction(tmp_path, bright, image, durable, fast_retries):
    (tmp_path / "file").write_text("")
    with PredictionLog(tmp_path / "file" / "predictions.db", durable=durable) as log:
        client = serve.create_app([bright], log=log).test_client()
        for _ in range(3):
            assert client.post("/models/bright", data=image, **PNG).status_code == 200
        log.flush()
        found = client.get("/readyz").json["log"]
        assert found["state"] == "failing" and found["failed"] == 3 and "file" not in str(found)
        assert "mlops_lab_log_failing 1.0" in client.get("/metrics").text
        answer = client.post("/models/bright/feedback", json={"request_id": "a", "label": "dark"})
        assert answer.status_code == 503 and answer.headers["Retry-After"]
        assert client.get("/monitor/report").status_code == 503


def test_nobody_waits_for_a_file_that_another_program_holds(tmp_path, bright, image, fast_retries):
    path = tmp_path / "predictions.db"
    with PredictionLog(path, durable=True, patience=600) as log:  # longer than any test may take
        client = serve.create_app([bright], log=log).test_client()
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN EXCLUSIVE")
        for _ in range(3):
            assert client.post("/models/bright", data=image, **PNG).status_code == 200
        assert client.get("/readyz").json["log"]["late"] >= 1
        other.execute("ROLLBACK")
        other.close()
        log.flush()
        kept = client.post("/models/bright", data=image, **PNG).headers["X-Request-Id"]
        log.flush()
        assert kept in ids(path)


def test_the_page_is_open_and_what_it_shows_needs_a_key(log, bright):
    client = serve.create_app([bright], log=log, api_keys=["open sesame"]).test_client()
    page = client.get("/monitor")
    assert page.status_code == 200 and "script-src 'self'" in page.headers["Content-Security-Policy"]
    for file in ("monitor/monitor.js", "monitor/monitor.css", "pages/ask.js", "pages/page.css"):
        assert client.get(f"/{file}").status_code == 200
    assert client.get("/monitor/none.js").status_code == 404
    assert client.get("/monitor/report").status_code == 401
    assert client.post("/models/bright/feedback", json={}).status_code == 401
    key = {"X-API-Key": "open sesame"}
    assert client.get("/monitor/report", headers=key).json["models"] == []


def test_a_version_without_a_reference_says_how_to_make_one(client, image):
    client.post("/models/bright", data=image, **PNG)
    told = client.get("/monitor/report?model=bright&version=v1").json
    assert told["models"] == [{"name": "bright", "versions": ["v1"]}]
    assert "no reference" in told["summary"] and "what it said" in told["html"]
    assert client.get("/monitor/report?model=shoes").status_code == 404
    assert client.get("/monitor/report?model=bright&version=v7").status_code == 404
    assert client.get("/monitor/report?model=bright&version=x").status_code == 400


def test_a_report_is_computed_once_for_all_who_watch(models, log, digits, monkeypatch):
    monkeypatch.setattr(rehearsal, "WINDOWS_OF_A_KIND", 8)
    monkeypatch.setattr(rehearsal, "QUIET_WINDOWS", 40)
    client = serve.create_app(models, log=log).test_client()
    for image in digits.test.images[:40]:
        client.post("/models/digits", data=encode_png(image), **PNG)
    assert "mlops-lab monitor reference digits --version v1" in client.get("/monitor/report").json["html"]
    monkeypatch.setattr("mlops_lab.monitor.live.FRESH_SECONDS", 0.0)
    plain = summarise_held_out(models.load("digits"), digits.test.images, digits.test.labels)
    path = models.get("digits", 1).path / FILE
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(pack(plain, {"model": "digits", "version": 1, "kinds": ()}))  # as publishing leaves it
    told = client.get("/monitor/report").json
    assert told["estimate"]["trust"] is False and "mlops-lab monitor reference digits" in told["html"]
    store_reference(models, "digits", 1, digits.test)
    told = client.get("/monitor/report").json
    assert told["predictions"] == 40 and told["harmful"] is False and told["estimate"]["accuracy"] > 0.8
    assert told["summary"].startswith("digits v1: no harm") and "Prediction log" in told["log"]
    monkeypatch.setattr("mlops_lab.monitor.live.FRESH_SECONDS", 600.0)
    client.post("/models/digits", data=encode_png(digits.test.images[50]), **PNG)
    assert client.get("/monitor/report").json["predictions"] == 40


def test_the_routes_are_in_the_document(client, bright):
    paths = client.get("/openapi.json").json["paths"]
    assert {"/models/bright/feedback", "/monitor/report", "/monitor"} <= set(paths)
    assert "/monitor" not in serve.create_app([bright]).test_client().get("/openapi.json").json["paths"]


def test_a_server_in_a_cell_takes_a_log(shared_models, log, image, no_servers):
    with serve.start(shared_models, log=log) as server:
        answer = httpx.post(f"{server.url}/models/digits", content=image, headers={"Content-Type": "image/png"})
        assert answer.status_code == 200
    log.flush()
    assert ids(log.target) == [answer.headers["X-Request-Id"]]
    with pytest.raises(WrongUsage, match="PredictionLog"):
        serve.start(shared_models, log="predictions.db")
    with pytest.raises(WrongUsage, match="log is for models"):
        serve.start(serve.create_app(shared_models), log=log)


def test_another_application_has_no_log(log):
    with pytest.raises(WrongUsage):
        attach_log(object(), log)


def test_a_log_alone_has_a_meaning(shared_models):
    from click.testing import CliRunner

    found = CliRunner().invoke(commands, ["serve", "--models", str(shared_models.root), "--durable"])
    assert found.exit_code == 2 and "--log" in found.output
