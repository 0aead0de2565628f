"""serve-4: load once, be ready before saying so, and answer many at the same time."""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager

import numpy as np

from mlops_lab.grade import folders
from mlops_lab.grade.cases import Case, Failed
from mlops_lab.grade.exercises import Exercise, Hint
from mlops_lab.grade.live import SandboxServer, Server
from mlops_lab.grade.opens import OpenCounter
from mlops_lab.grade.rubric.images import MATERIAL, Sent, garments, png
from mlops_lab.grade.rubric.serve_requests import HINTS, ROUTE, answers, classify, garment, get, rows
from mlops_lab.grade.sandbox import Sandbox
from mlops_lab.grade.sandbox.tree import plain_files

MODELS = (".keras", ".onnx", ".h5", ".skops", ".pb", ".json", ".pkl", ".joblib")
CLIENTS, EACH = 8, 10
TIMES = 5  # an answer may take so many times as long as the reference's
LEAST = 0.1  # seconds that an answer may take in any case: Keras needs more than ONNX Runtime

exercise = Exercise("serve-4", "Load once, answer many", kind="server", names=("api.py",), hints=HINTS,
                    section="Notebook 4, section 4", attempted_by=("readyz",))  # fmt: skip


exercise.check("answers", "POST of an image answers 200", points=0, timeout=40)(answers)


@exercise.check("ready", "/readyz says ready once the model is loaded, and not before", points=1, after="answers",
                timeout=90, hints={
    "no-readyz": Hint("/readyz got {status}.", "A balancer asks it before it sends anybody here."),
    "early": Hint(
        "It said ready {seconds:.1f} s before the first answer could be given.",
        "A balancer would have sent people here. Say 503 until the model is loaded.",
    ),
    "lazy": Hint("It said ready before it had opened the model file.", "The first client waits for the loading."),
})  # fmt: skip
def ready(server: Server, case: Case) -> None:
    sent = garment(case)
    if server.folder is None:
        status = get(server, case, "/readyz").status
        case.expect(status == 200, f"/readyz got {status}.", hint="no-readyz", status=status)
        return
    with OpenCounter(server.folder / "models") as counter:
        server.restart()
        said = _await_ready(server, case)
        opened, counted = _models(counter.opened()), counter.available
        classify(server, case, sent, timeout=30)
        first = time.monotonic() - said
        usual = _seconds(server, case, [sent] * 5)
    late = first > max(0.5, 20 * usual)
    case.expect(not late, f"The first answer came {first:.1f} s after it had said ready.", hint="early", seconds=first)
    if not counted:
        case.warn("Opened files cannot be counted here, so a model that is loaded later was not looked for.")
    elif not opened and _models(_all_opened(server)):
        case.fail("It said ready before it had opened a model.", hint="lazy")


def _all_opened(server: Server) -> dict[str, int]:
    """Return the model files that there are to be opened."""
    folder = (server.folder or MATERIAL) / "models"
    return {path.name: 1 for path in plain_files(folder)}


def _await_ready(server: Server, case: Case) -> float:
    deadline = time.monotonic() + 60
    while True:
        answer = server.get("/readyz", timeout=30)
        if answer.status == 200:
            case.note(answer.request, f"→ {answer}")
            return time.monotonic()
        case.expect(answer.status == 503, f"/readyz got {answer.status}.", hint="no-readyz", status=answer.status)
        case.expect(time.monotonic() < deadline, "It never said ready.", hint="no-readyz", status=answer.status)
        time.sleep(0.1)


def _models(opened: dict[str, int]) -> dict[str, int]:
    return {name: count for name, count in opened.items() if name.endswith(MODELS)}


@exercise.check("once", "The model file is opened once, not at each request", points=1, after="answers", timeout=90,
                hints={
    "each": Hint(
        "The model file was opened {times} times during {requests} requests.",
        "Each answer waited for it. Load when the server starts, and keep it.",
    ),
})  # fmt: skip
def once(server: Server, case: Case) -> None:
    if server.folder is None:
        case.warn("The server was not started by this check, so opened files were not counted.")
        return
    if sys.platform != "linux":
        case.skip("Opened files can be counted on Linux only.")
    sent = garment(case)
    classify(server, case, sent, timeout=30)
    with OpenCounter(server.folder / "models") as counter:
        _seconds(server, case, [sent] * 20)
        times = max(_models(counter.opened()).values(), default=0)
        counted = counter.available
    if not counted:
        case.not_gradable("Opened files cannot be counted here, so whether it loads at each request is not known.")
    case.expect(times <= 1, f"The model file was opened {times} times.", hint="each", times=times, requests=20,
                expected="once", received=times)  # fmt: skip


@exercise.check("fast", "An answer takes at most five times as long as the reference's", points=1, after="answers",
                again=True, timeout=120, hints={
    "slow": Hint("The median answer took {own:.0f} ms, the reference {reference:.0f} ms.",
                 "What does your route do at each request that it could do once?"),
})  # fmt: skip
def fast(server: Server, case: Case) -> None:
    images, _ = garments(case.rng, 50, held_out=False)
    sent = [png(one) for one in images]
    own, reference = 0.0, 0.0
    for _ in range(2):  # a second try, so that a busy moment of the machine is not a low grade
        own, reference = _seconds(server, case, sent), _reference(case, sent)
        if own <= max(LEAST, TIMES * reference):
            return
    case.fail(f"The median answer took {1000 * own:.0f} ms.", hint="slow", own=1000 * own, reference=1000 * reference,
              expected=f"at most {1000 * max(LEAST, TIMES * reference):.0f} ms",
              received=f"{1000 * own:.0f} ms")  # fmt: skip


def _seconds(server: Server, case: Case, sent: list[Sent]) -> float:
    """Return the median time of an answer."""
    times = []
    for one in sent:
        answer = server.post(ROUTE, one.data, one.kind, timeout=15)
        case.expect(answer.status == 200, f"POST got {answer.status}.", hint=str(answer.status), received=str(answer),
                    path=ROUTE)  # fmt: skip
        times.append(answer.seconds)
    return statistics.median(times)


def _reference(case: Case, sent: list[Sent]) -> float:
    with _reference_server() as reference:
        _seconds(reference, case, sent[:5])
        return _seconds(reference, case, sent)


@contextmanager
def _reference_server() -> Iterator[Server]:
    """Give the reference answer, running in a sandbox like the student's."""
    with folders.temporary() as folder:
        (folder / "models").mkdir()
        (folder / "models" / "clothes.onnx").write_bytes((MATERIAL / "clothes.onnx").read_bytes())
        (folder / "api.py").write_bytes((MATERIAL / "api.txt").read_bytes())
        with Sandbox(folder) as sandbox, closing(SandboxServer(sandbox)) as server:
            yield server


@exercise.check("own", "Eight clients at the same time get their own answers", points=2, after="answers", held_out=8,
                covers="other garments, sent at the same time", timeout=60, hints={
    "mixed": Hint(
        "With {clients} clients, {wrong} of {count} answers were somebody else's.",
        "A request's things belong to its function: a global holds the last one's.",
    ),
    "lost": Hint("With {clients} clients, {lost} of {count} requests got no good answer."),
})  # fmt: skip
def own_answers(server: Server, case: Case) -> None:
    images, _ = garments(case.rng, CLIENTS, held_out=case.held_out)
    sent = [png(one) for one in images]
    alone = rows([classify(server, case, one) for one in sent])
    case.expect(len(alone), "There are no ten probabilities to compare.")
    with ThreadPoolExecutor(CLIENTS) as pool:
        every = list(pool.map(lambda place: _many(server, sent[place], place), range(CLIENTS)))
    found = [(place, row) for rows_of_one in every for place, row in rows_of_one]
    lost = sum(row is None for _, row in found)
    wrong = sum(row is not None and not np.allclose(row, alone[place], atol=1e-3) for place, row in found)
    count = len(found)
    case.expect(not lost, f"{lost} of {count} requests failed.", hint="lost", clients=CLIENTS, lost=lost, count=count)
    case.expect(not wrong, f"{wrong} of {count} answers were not those of their image.", hint="mixed", wrong=wrong,
                clients=CLIENTS, count=count, expected="0 mixed up", received=wrong)  # fmt: skip


def _many(server: Server, sent: Sent, place: int) -> list[tuple[int, tuple[float, ...] | None]]:
    """Ask about one image several times; each answer with whose it should be."""
    found: list[tuple[int, tuple[float, ...] | None]] = []
    for _ in range(EACH):
        silent = Case("serve-4.own")
        try:
            found.append((place, classify(server, silent, sent, timeout=15).probabilities or None))
        except Failed:
            found.append((place, None))
    return found
