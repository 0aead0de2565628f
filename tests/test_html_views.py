"""Every result draws itself: with words, for both themes, from nothing but itself. All of them are walked here."""

import importlib
import inspect
import json
import pkgutil
import re
import typing
from dataclasses import dataclass, replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

import mlops_lab
from mlops_lab import (
    data,
    deploy,
    doctor,
    engines,
    filetype,
    grade,
    image,
    monitor,
    pipeline,
    predict,
    serve,
    store,
    train,
    validate,
)
from mlops_lab.answers import LabelSet, Mask, NamedAnswers, Score, Tensor, Value, Vector
from mlops_lab.batch import BatchReport
from mlops_lab.client import Predictions
from mlops_lab.course.drawing import Lifecycle
from mlops_lab.course.guesses import Revealed
from mlops_lab.course.rows import row
from mlops_lab.demo import Demonstration, run_demo
from mlops_lab.deploy.layout import Layout
from mlops_lab.deploy.lint import LintReport
from mlops_lab.findings import Finding
from mlops_lab.grade.record import ExerciseStatus
from mlops_lab.monitor.drift import Difference
from mlops_lab.monitor.timeline import Hour
from mlops_lab.pipeline.loop.day_report import Event
from mlops_lab.pipeline.loop.history import LoopHistory, LoopRun
from mlops_lab.pipeline.outcome import Release, StageOutcome
from mlops_lab.predict import Prediction
from mlops_lab.serve.background import RecordedRequest
from mlops_lab.serve.background.public_url import PublicUrl
from mlops_lab.serve.chains.finder import find_digits
from mlops_lab.store.compat import CompatReport, MigrationReport
from mlops_lab.store.safety.report import AuditReport, finding
from mlops_lab.store.trial import TrialReport
from mlops_lab.summary.scale import make_scale
from mlops_lab.validate.load_result import LoadResult, LoadTestConfig
from mlops_lab.widgets.request_stats import RequestStats

HUGE = 1e300
NOTEBOOK = re.compile(r"\d\d_\w+\.ipynb")  # the life cycle leads from one notebook to the next
HOSTILE = "<script>alert('x')</script>"
STAGES = (data, train, predict, store, serve, deploy, validate, monitor, pipeline, doctor, image, engines, grade)


def classes():
    """Yield every class of the package, each once."""
    for name in [found.name for found in pkgutil.walk_packages(mlops_lab.__path__, "mlops_lab.")]:
        if name.endswith(("__main__", "_child", ".child")):  # programs of processes of their own
            continue
        module = importlib.import_module(name)
        yield from (one for one in vars(module).values() if inspect.isclass(one) and one.__module__ == name)


def drawn():
    """Return the classes that have a view of their own, other than widgets."""
    return {one for one in classes() if "_repr_html_" in vars(one)}


@pytest.fixture(scope="module")
def examples(digits, digits_run, shared_models, bright):
    """Return examples of every class with a view, as bad as it may come."""
    models = shared_models
    prediction = Prediction(HOSTILE, 0, 0.75, (0.75, 0.25), (HOSTILE, "b"), digits.test.images[0])
    image = np.zeros((28, 84), np.uint8)
    image[4:24, 8:14] = image[4:24, 50:56] = 255
    wrong = finding("lambda_layer", HOSTILE, "layer")
    check = Finding(False, HOSTILE, HOSTILE, name=HOSTILE, place=HOSTILE)
    outcome = StageOutcome("build", "failed", 1.0, HOSTILE)
    broken = data.check(np.full((2, 8, 8), np.nan), np.array([0, 1]), classes=(HOSTILE, "b"))
    plan = deploy.make_spec(models.root, "digits")
    with serve.start([bright], name=HOSTILE) as server:
        yield [
            *(digits, digits.test, digits_run, bright, prediction, models, models.get("digits", 1)),
            *(LabelSet((HOSTILE,), (0.75, 0.25), (HOSTILE, "b")), Value(23.4), Value((1.0, 2.0)), Score(-0.5, True)),
            *(Vector(np.array([0.5, HUGE])), Tensor(np.array([HOSTILE], object))),
            Mask(np.eye(4, dtype=np.int64), (HOSTILE, "b"), digits.test.images[0]),
            NamedAnswers({HOSTILE: prediction, "value": Value(1.5)}),
            store.from_onnx(models.get("digits", 1).path / "model.onnx", **imported(digits)),
            AuditReport(HOSTILE, "keras", False, "lambda_layer", (wrong,)),
            AuditReport("a.keras", "keras", True, "ok"),
            CompatReport(
                *(HOSTILE, "keras", HOSTILE, "keras==3.15.1", False, True, (HOSTILE,), HOSTILE),
                *(False, "x", True, False, (wrong,)),
            ),
            MigrationReport(HOSTILE, "b.keras", "keras==3.4.1", (HOSTILE,), (HOSTILE,), (HOSTILE,), None),
            *(filetype.identify(b"RIFF....WEBP"), filetype.FileType("x", HOSTILE, HOSTILE)),
            *(TrialReport(False, "trial_load", HOSTILE), TrialReport(True, "ok", parameters=4810)),
            Predictions([prediction] * 2, "POST /models/m/v1", 200, 1.5, {}),
            *(serve.Registry.of([bright]), serve.Registry(), server, serve.servers()),
            serve.Chain(["find-digits", "digits", "join"], description=HOSTILE),
            *find_digits(image),
            *(PublicUrl(HOSTILE, None, HOSTILE), PublicUrl("a hub", "/user/me/proxy/8000/", "Follow it.")),
            *(plan, deploy.files(plan, "docker"), deploy.Files({HOSTILE: HOSTILE})),
            *(Layout(Path(HOSTILE), (1,), ()), Layout(Path(HOSTILE), (), (Finding(False, HOSTILE, "m", "r", "w"),))),
            *(LintReport((), 3), LintReport((Finding(False, HOSTILE, "Pin it.", "latest-tag", "a.yaml"),), 1)),
            *(Finding(True, HOSTILE), Finding(None, HOSTILE, HOSTILE, HOSTILE, HOSTILE)),
            *(broken, *broken.findings[:1], data.DataReport(HOSTILE, {HOSTILE: 0}, ())),
            *judged(models, digits, check),
            *(check, validate.Report(HOSTILE, "http://127.0.0.1", (check,), 0.1)),
            LoadResult("http://127.0.0.1", LoadTestConfig(), 5.0, {"200": 9, "503": 1}, 4.0, 9.0, 20.0, 31.0),
            BatchReport(HOSTILE, "m", 1, 3, 1, 1, 0.5),
            *loops(outcome),
            *(Lifecycle("serve"), Revealed(HOSTILE, HOSTILE, HOSTILE), Revealed(...), row(image[None], [HOSTILE])),
            *(outcome, Release("m", 2, HOSTILE, 1, 1, "now", HOSTILE, state="refused", outcomes=(outcome,))),
            doctor.Finding(True, HOSTILE, HOSTILE),
            doctor.Checkup((doctor.Finding(False, HOSTILE, HOSTILE, HOSTILE, HOSTILE),)),
            Demonstration(0.9, 0.9, HOSTILE, 1, "clothes v1", {}, "http://127.0.0.1", 1, 1.0, 1.0, 1.0, 1.0, "a.png"),
            *watched_production(),
            grade.CheckResult("data-3.x", HOSTILE, "failed", 0, 1, HOSTILE, HOSTILE, 2, HOSTILE, HOSTILE, (HOSTILE,)),
            grade.Report(HOSTILE, (grade.CheckResult("data-3", HOSTILE, "partial", 1, 2),), warnings=(HOSTILE,)),
            grade.Progress((ExerciseStatus("data-3", HOSTILE, "passed", 1, 1, True, 3),)),
            RequestStats.of(
                [RecordedRequest("GET", HOSTILE, 404, 1.0, 9, 9.0)], now=10.0, classes={HOSTILE: {HOSTILE: 3}}
            ),
        ]


def watched_production():
    """Return what the monitor says of a model that is in a bad way."""
    random = np.random.default_rng(0)
    rows = random.dirichlet((1, 1), 400).astype(np.float32)
    columns = (np.arange(400.0), rows, random.random((400, 4), np.float32), rows.argmax(axis=1), np.zeros(400))
    window = monitor.Window(HOSTILE, 1, (HOSTILE, "b"), ("mean", "deviation", "least", "most"), *columns)
    summary = monitor.summarise(window, make_scale(window))
    verdict = monitor.compare(monitor.Reference(HOSTILE, 1, summary), summary)
    difference = Difference(HOSTILE, 0.001, 0.5, True, since=0.0)
    bad = replace(verdict, harmful=True, changed=True, reason=HOSTILE, evidence=(difference,))
    alarm = monitor.Alarm(200, 0.0, HOSTILE, bad)
    hours = (Hour(0.0, 200, 0.5, 0.4, 0.6, True, True), Hour(3600.0, 3, None, None, None, False, False))
    shares = {HOSTILE: 0.75, "b": 0.25}
    status = monitor.LogStatus(HOSTILE, 1, 2, 3, 4, 5, HOSTILE)
    log = monitor.PredictionLog("none.db")
    watched = monitor.Watched(400, (alarm,), ((200, bad),))
    report = monitor.Report(bad, hours, shares, shares, status)
    return [
        window,
        summary,
        monitor.Reference(HOSTILE, 1, summary),
        verdict,
        bad,
        difference,
        alarm,
        watched,
        status,
        log,
        report,
    ]


def judged(models, digits, check):
    """Return examples of what ``validate`` finds, with names as bad as they may come."""
    test = digits.test
    rows = np.random.default_rng(0).dirichlet(np.ones(10), len(test))
    worse = replace(digits, classes=(HOSTILE, *digits.classes[1:]))
    quality = validate.evaluate(rows, worse)
    groups = validate.by_group("recall", test.labels, rows.argmax(axis=1), [HOSTILE, *["b"] * 358], attribute=HOSTILE)
    constant = validate.check_behaviour(lambda x: np.tile(rows[:1], (len(x), 1)), test, images=20)
    truth = np.arange(9.0)
    gate = validate.Gate(
        False, HOSTILE, HOSTILE, name=HOSTILE, section=HOSTILE, value=0.1, limit=0.2, images=(HOSTILE,)
    )
    found = LoadResult(
        HOSTILE, LoadTestConfig(rate=9), 5.0, {"200": 9}, 4.0, 9.0, 20.0, 31.0, timeline=((1, 9, 9, 4.0),)
    )
    return [
        *(quality, quality.calibration, quality.classes[0], groups, *groups.groups, data.load_admissions()),
        *(constant, *constant.findings, validate.explain(lambda x: rows[: len(x)], test.images[0])),
        *(validate.measure_robustness(lambda x: rows[: len(x)], test, images=20), validate.compare(rows, rows, test)),
        validate.evaluate(truth, (truth, truth + 1), task="regression"),
        *(gate, validate.Assessment(HOSTILE, 2, (gate,), {}), validate.assess(models.get("digits", 1), server=False)),
        *(found, validate.Saturation(0.0, 100.0, (found,))),
    ]


def loops(outcome):
    run = LoopRun(HOSTILE, "2026-06-01T08:00:00Z", "refused", HOSTILE, 1, (outcome,))
    hours = (
        pipeline.Hour(0.0, "as before", 9, 8, 0, {1: 9}, 0.9, 0.8, 1.0),
        pipeline.Hour(3600.0, "black", 9, 1, 1, {2: 8}),
    )
    return (
        run,
        LoopHistory(HOSTILE, (run,)),
        pipeline.Day(HOSTILE, hours, (Event(3600.0, HOSTILE, HOSTILE),), (run,), 3.0),
    )


def imported(digits):
    return {"input": digits.input, "labels": digits.classes, "examples": digits.test.images[:4]}


@dataclass
class View(HTMLParser):
    """A view that was read: its tags, its text, and whether every tag is closed in its turn."""

    html: str

    def __post_init__(self):
        super().__init__()
        self.tags, self.open, self.text = [], [], ""
        self.feed(self.html)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in ("img", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open and self.open.pop() == tag, f"</{tag}> closes nothing that is open"

    def handle_data(self, data):
        self.text += data


def views(examples):
    return [(type(example).__name__, View(example._repr_html_())) for example in examples]


def test_no_view_is_left_out(examples):
    covered = {kind for example in examples for kind in type(example).__mro__}
    missing = sorted(one.__qualname__ for one in drawn() - covered)
    assert missing == [], f"add an example of {missing} to the fixture above"


def test_views_are_well_formed_and_hold_nothing_foreign(examples):
    for name, view in views(examples):
        assert view.open == [], name
        assert not {tag for tag, _ in view.tags} & {"script", "link", "iframe", "object", "style"}, name
        addresses = [value for _, had in view.tags for key, value in had.items() if key in ("src", "href")]
        assert all(address.startswith("data:image/") or NOTEBOOK.fullmatch(address) for address in addresses), name
        assert not [key for _, had in view.tags for key in had if key.startswith("on")], name


def test_images_have_a_text_that_stands_for_them(examples):
    for name, view in views(examples):
        assert all(had.get("alt") for tag, had in view.tags if tag == "img"), name
        assert all(had.get("role") == "img" and had.get("aria-label") for tag, had in view.tags if tag == "svg"), name


def test_colours_are_the_themes_own(examples):
    """A colour that is not one of JupyterLab's variables is right in one theme only."""
    for name, view in views(examples):
        styles = " ".join(had.get("style") or "" for _, had in view.tags)
        fixed = re.findall(r"(?:color|background)[\w-]*:(?! *(?:var\(|inherit|none|transparent))[^;]+", styles)
        assert fixed == [], name


def test_a_state_is_a_word_beside_its_icon(examples):
    for name, view in views(examples):
        assert not re.findall(r"[✓✗](?! \w)", view.text), name


def test_the_plain_text_is_sensible(examples):
    for example in examples:
        for text in (repr(example), str(example)):
            assert text.strip()
            assert " object at 0x" not in text
        assert len(repr(example)) < 2000


def test_results_become_plain_values(examples):
    for example in examples:
        if hasattr(example, "to_dict"):
            json.dumps(example.to_dict())


def returned(function):
    found = typing.get_type_hints(function).get("return")
    return [one for one in (found, *typing.get_args(found)) if inspect.isclass(one)]


def test_what_a_stage_returns_has_a_view():
    stages = [vars(stage).items() for stage in STAGES]
    functions = [one for stage in stages for name, one in stage if inspect.isfunction(one) and name[0] != "_"]
    ours = [one for one in [*functions, run_demo] if one.__module__.startswith("mlops_lab")]
    results = {kind for one in ours for kind in returned(one)}
    ours = {kind for kind in results if kind.__module__.startswith("mlops_lab")}
    assert len(ours) > 10
    # A protocol, applications, and what is read of a file on the way: nobody looks at them.
    without_view = {"Engine", "AsgiApp", "WsgiBridge", "PngHeader", "PixelFile", "Parts"}
    assert {kind.__name__ for kind in ours if not hasattr(kind, "_repr_html_")} == without_view
