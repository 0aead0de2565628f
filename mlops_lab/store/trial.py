"""Load a stranger's ``.keras`` file in a limited child process first, and look at what comes out.

The audit in :mod:`mlops_lab.store.safety` judges the bytes; the trial catches what only Keras can show: a layer that
fails to build, weights that do not fit, memory that runs out. The child has little memory and time, no network where
the system allows it, and an empty environment. It can still read the files of the user who runs it, so it is a safety
net and no sandbox.
"""

from __future__ import annotations

import io
import json
import os
import struct
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops_lab import show
from mlops_lab.errors import UnsafeFile

if TYPE_CHECKING:
    import numpy as np

GIB = 2**30
ADDRESS_SPACE = 8 * GIB  # TensorFlow reserves several gigabytes of addresses that it never touches
ANSWER_BYTES = 64 * 1024
ERROR_BYTES = 64 * 1024
CHILD = Path(__file__).with_name("trial_child.py")
NET = "this system did not let the child leave the network, so the network was not cut off"
NOT_LINUX = "memory is limited on Linux only, so here only time was limited"


@dataclass(frozen=True)
class TrialLimits:
    """Limits on the resources of the child process."""

    memory_bytes: int = 2 * GIB
    """Resident memory, TensorFlow's own half gigabyte included."""
    cpu_seconds: int = 60
    """Processor time, over all threads."""
    wall_seconds: float = 60.0
    """Time on the clock."""


@dataclass(frozen=True)
class TrialReport:
    """The result of loading a file in a child process."""

    passed: bool
    """Whether it loaded and every check passed."""
    code: str
    """``"ok"``, or the code of the failure: ``trial_load``, ``trial_timeout``, ``trial_memory``, ``trial_golden``, …"""
    reason: str = ""
    """The failure as a sentence."""
    parameters: int | None = None
    """The number of weights of the loaded model."""
    output_shape: str = ""
    """The shape of its output."""
    seconds: float = 0.0
    """The time that the child ran."""
    peak_bytes: int | None = None
    """The most memory it held, where the system tells."""
    notes: tuple[str, ...] = ()
    """The limits that this system could not set."""

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON shows it."""
        return asdict(self) | {"notes": list(self.notes)}

    def require_passed(self) -> None:
        """Raise :class:`~mlops_lab.errors.UnsafeFile` unless the trial went well."""
        if not self.passed:
            hint = (
                "Do not load it here. Ask its author for the Keras version and a SHA-256, or build the model yourself."
            )
            raise UnsafeFile(f"The trial load failed: {self.reason}.", hint, code=self.code)

    def _repr_html_(self) -> str:
        state = show.state("ok", "loads") if self.passed else show.state("error", self.code)
        rows = [
            (field.name, getattr(self, field.name)) for field in fields(self) if field.name not in ("passed", "code")
        ]
        return show.card(
            "Trial load", state, show.table([(name, value) for name, value in rows if value not in ("", None, ())])
        )


def trial_load(
    data: bytes,
    *,
    golden: tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]] | None = None,
    tolerance: float = 1e-5,
    limits: TrialLimits | None = None,
) -> TrialReport:
    """Load the bytes of a ``.keras`` file in a limited child process and report what happened.

    Parameters
    ----------
    data
        The very bytes that the audit has judged.
    golden
        An input batch and the output that it must give.
    tolerance
        The largest difference from the golden output that passes.
    limits
        Limits on the resources of the child.

    Examples
    --------
    >>> trial_load(b"not a model").code  # doctest: +SKIP
    'trial_load'
    """
    limits = limits or TrialLimits()
    with tempfile.TemporaryDirectory(prefix="mlops-lab-trial-") as folder:
        started = time.monotonic()
        with open(Path(folder) / "stderr.txt", "w+b") as errors:
            child = _start(folder, errors)
            watch = _Watch(child, limits)
            answer = _converse(child, _request(data, golden, tolerance, limits, folder), watch)
            errors.seek(max(0, os.fstat(errors.fileno()).st_size - ERROR_BYTES))
            tail = errors.read(ERROR_BYTES).decode("utf-8", "replace")
    return _report(answer, child.returncode, tail, watch, time.monotonic() - started)


def _start(folder: str, errors: Any) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-I", str(CHILD)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=errors,
        env=_environment(folder),
        cwd=folder,
        start_new_session=True,
    )


def _environment(folder: str) -> dict[str, str]:
    """Return the child's whole environment: no proxies, no keys, no settings of the user's."""
    needed = ("SYSTEMROOT",) if os.name == "nt" else ()
    kept = {name: os.environ[name] for name in needed if name in os.environ}
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1", "KERAS_BACKEND": "tensorflow"}
    return kept | quiet | {"HOME": folder, "KERAS_HOME": folder, "TMPDIR": folder, "TEMP": folder, "PATH": os.defpath}


def _request(data: bytes, golden: Any, tolerance: float, limits: TrialLimits, folder: str) -> list[bytes]:
    arrays = [_npy(array) for array in golden] if golden is not None else []
    settings = {
        "size": len(data),
        "golden": [len(array) for array in arrays],
        "tolerance": tolerance,
        "cpu_seconds": limits.cpu_seconds,
        "address_bytes": ADDRESS_SPACE + limits.memory_bytes,
        "answer_bytes": ANSWER_BYTES,
        "folder": folder,
    }
    head = json.dumps(settings).encode()
    return [struct.pack("<I", len(head)), head, data, *arrays]


def _npy(array: Any) -> bytes:
    import numpy as np

    buffer = io.BytesIO()
    np.save(buffer, np.asarray(array), allow_pickle=False)
    return buffer.getvalue()


class _Watch:
    """Kills the child when its time or memory is up."""

    def __init__(self, child: subprocess.Popen[bytes], limits: TrialLimits) -> None:
        self.child, self.limits = child, limits
        self.peak, self.reason = 0, ""
        self.done = threading.Event()
        self.thread = threading.Thread(target=self._run, name="trial-watch", daemon=True)

    def _run(self) -> None:
        end = time.monotonic() + self.limits.wall_seconds
        while not self.done.wait(0.02):
            self.peak = max(self.peak, _resident(self.child.pid))
            if self.peak > self.limits.memory_bytes:
                self.stop("trial_memory")
            elif time.monotonic() > end:
                self.stop("trial_timeout")

    def stop(self, reason: str) -> None:
        """Kill the child, for the first reason that came up."""
        self.reason = self.reason or reason
        self.child.kill()


def _resident(pid: int) -> int:
    """Return the memory that a process holds; 0 where the system does not tell."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, IndexError, ValueError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def _converse(child: subprocess.Popen[bytes], request: list[bytes], watch: _Watch) -> bytes:
    """Send the request and return the answer, never more of it than the limit."""
    assert child.stdin is not None and child.stdout is not None
    writer = threading.Thread(target=_send, args=(child.stdin, request), name="trial-send", daemon=True)
    watch.thread.start()
    writer.start()
    try:
        answer = child.stdout.read(ANSWER_BYTES + 1)
        if len(answer) > ANSWER_BYTES:
            watch.stop("trial_answer")
        child.wait()
    finally:
        watch.done.set()
        child.kill()
        child.wait()
        watch.thread.join()
        writer.join()
        child.stdout.close()
    return answer


def _send(pipe: Any, request: list[bytes]) -> None:
    try:
        with pipe:
            for part in request:
                pipe.write(part)
    except OSError:  # the child ended early; its answer says why
        return


def _report(answer: bytes, status: int, errors: str, watch: _Watch, seconds: float) -> TrialReport:
    result = _parse(answer)
    if watch.reason or result is None:
        code, reason = _died(status, errors, watch)
        return TrialReport(False, code, reason, seconds=seconds, peak_bytes=watch.peak or None, notes=_notes({}))
    shape, count = result.get("output_shape"), result.get("parameters")
    return TrialReport(
        passed=result["passed"] is True and result.get("code") == "ok",
        code=str(result.get("code", "trial_answer"))[:40],
        reason=str(result.get("reason", ""))[:500],
        parameters=count if type(count) is int else None,
        output_shape=shape[:200] if isinstance(shape, str) else "",
        seconds=seconds,
        peak_bytes=watch.peak or None,
        notes=_notes(result.get("notes")),
    )


def _parse(answer: bytes) -> dict[str, Any] | None:
    try:
        result = json.loads(answer)
    except (ValueError, RecursionError):
        return None
    return result if isinstance(result, dict) and isinstance(result.get("passed"), bool) else None


def _died(status: int, errors: str, watch: _Watch) -> tuple[str, str]:
    if watch.reason == "trial_timeout":
        return "trial_timeout", f"it was not loaded after {watch.limits.wall_seconds:g} s"
    if watch.reason == "trial_memory":
        return "trial_memory", f"it needed more than {watch.limits.memory_bytes / GIB:.1f} GiB of memory"
    if watch.reason == "trial_answer":
        return "trial_answer", f"it answered with more than {ANSWER_BYTES:,} bytes"
    if status == -24:  # SIGXCPU
        return "trial_cpu", f"it used more than {watch.limits.cpu_seconds} s of processor time"
    if "bad_alloc" in errors or "MemoryError" in errors:
        return "trial_memory", "it needed more memory than the trial allows"
    return "trial_crash", f"the child process ended with status {status} and no answer"


def _notes(found: Any) -> tuple[str, ...]:
    notes = ["the child can read this user's files: a safety net, not a sandbox"]
    if isinstance(found, dict) and found.get("network_cut") is False:
        notes.append(NET)
    if sys.platform != "linux":
        notes.append(NOT_LINUX)
    return tuple(notes)
