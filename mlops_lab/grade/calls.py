"""Call what a student wrote, and see more of the call than its value.

A check writes ``answer.prepare(images)`` wherever the function lives: in the notebook's own process, or in the sandbox
behind :mod:`mlops_lab.grade.remote`. Both give a :class:`Function`, whose :meth:`Function.call` also says what the
call printed, how long it took and whether it changed its arguments.
"""

from __future__ import annotations

import copy
import random
import sys
import time
import traceback
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from mlops_lab.deprecation import warn_renamed
from mlops_lab.errors import WrongUsage
from mlops_lab.grade.cases import CheckTimeout, Failed
from mlops_lab.grade.results import clip

if TYPE_CHECKING:
    import tempfile

    from mlops_lab.grade.mock_server import MockHandler
    from mlops_lab.grade.shared_folder import SharedFolder

TOO_LARGE = 64_000_000  # bytes of arguments that are copied to see whether they changed


@dataclass(frozen=True)
class Call:
    """One call of a student's function.

    Parameters
    ----------
    value
        What it returned.
    error
        ``"ValueError: …"`` where it raised, with the student's own line; else empty.
    kind
        The name of the exception's class, or empty.
    changed
        The places of arguments that are not what they were.
    random_changed
        Whether NumPy's or Python's global random state is not what it was.
    seconds
        How long it took.
    """

    value: Any = None
    error: str = ""
    kind: str = ""
    changed: tuple[int, ...] = ()
    random_changed: bool = False
    seconds: float = 0.0


class ExecutionTarget(Protocol):
    """Where a student's functions run: this process, or a sandbox."""

    def call(self, name: str, arguments: tuple[Any, ...], keywords: Mapping[str, Any]) -> Call:
        """Call the function of that name."""
        ...

    def has(self, name: str) -> bool:
        """Whether there is something of that name."""
        ...

    def get(self, name: str) -> Any:
        """Return a plain value of that name, such as a dict."""
        ...

    def mock_server(self, respond: MockHandler) -> AbstractContextManager[str]:
        """Give the address at which a function finds a server that answers as the check says."""
        ...

    def until(self, name: str, arguments: tuple[Any, ...], before: int, others: tuple[Any, ...] | None) -> str:
        """Call the function of that name until just before one of its file operations; see :mod:`.interrupt`."""
        ...

    def call_concurrently(
        self, name: str, arguments: tuple[Any, ...], given: list[Any], threads: int, pages: int
    ) -> Any:
        """Call what the function of that name makes from several threads; see :mod:`.concurrent_calls`."""
        ...

    def shared_folder(self) -> SharedFolder:
        """Return a new folder that the functions can reach."""
        ...


class Function:
    """A student's function, as a check sees it.

    Calling it returns its value; where it raises, the check fails with the student's own error. Use :meth:`call`
    where an error is what the check wants to see.

    Examples
    --------
    >>> double = Function("double", LocalTarget({"double": lambda x: 2 * x}))
    >>> double(4), double.call("a", 1).kind
    (8, 'TypeError')
    """

    def __init__(self, name: str, target: ExecutionTarget) -> None:
        self.name, self._target = name, target

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        """Return the function's value, or fail the check with its error."""
        done = self.call(*arguments, **keywords)
        if done.error:
            raise Failed(f"{self.name} raised {done.error}", hint="raises", received=done.error)
        return done.value

    def call(self, *arguments: Any, **keywords: Any) -> Call:
        """Call the function, whatever comes of it."""
        return self._target.call(self.name, arguments, keywords)

    def until(self, before: int, *arguments: Any, others: tuple[Any, ...] | None = None) -> str:
        """Stop the call just before one of its file operations, or make another call there; say how it ended.

        Parameters and words are those of :func:`mlops_lab.grade.interrupt.run`.
        """
        return self._target.until(self.name, arguments, before, others)

    def call_concurrently(self, *arguments: Any, given: list[Any], threads: int = 8, pages: int = 0) -> dict[str, Any]:
        """Make an object, and call it with each of what is given, from several threads at once.

        Parameters and what comes back are those of :func:`mlops_lab.grade.concurrent_calls.run`.
        """
        found: dict[str, Any] = self._target.call_concurrently(self.name, arguments, given, threads, pages)
        return found

    def __repr__(self) -> str:
        return f"<{self.name}, written by the student>"


class Answer:
    """The student's answer: an attribute for each name that the exercise asks for.

    ``answer.prepare`` is a :class:`Function`; ``answer.value("stage")`` is a plain value, such as a dict;
    ``answer.path`` is the file or folder of a ``"file"`` or ``"folder"`` exercise.
    """

    def __init__(self, target: ExecutionTarget, names: tuple[str, ...], path: Path | None = None) -> None:
        self.target, self.names, self.path = target, names, path

    def __getattr__(self, name: str) -> Function:
        if name.startswith("_"):
            raise AttributeError(name)
        if not self.target.has(name):
            raise Failed(f"There is no {name}.", hint="missing", expected=f"something named {name}", received="nothing")
        return Function(name, self.target)

    def has(self, name: str) -> bool:
        """Whether the student wrote something of that name."""
        return self.target.has(name)

    def shared_folder(self) -> SharedFolder:
        """Return a new folder in which the check and the student's functions leave files for each other."""
        return self.target.shared_folder()

    def desk(self) -> SharedFolder:
        """Return :meth:`shared_folder`; deprecated."""
        warn_renamed("Answer.desk", "shared_folder")
        return self.shared_folder()

    def text(self, name: str = "") -> str:
        """Return the first 64,000 characters of the file, or of one beside it; empty where there is none."""
        path = self.path if self.path is None or not name else self.path.parent / name
        if path is None or path.is_symlink() or not path.is_file():
            return ""
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read(64_000)

    def value(self, name: str = "") -> Any:
        """Return what the student wrote under a name, as plain values; by default the exercise's only name."""
        name = name or self.names[0]
        if not self.target.has(name):
            raise Failed(f"There is no {name}.", hint="missing", expected=f"something named {name}", received="nothing")
        return self.target.get(name)


class LocalTarget:
    """Functions of this very process: what a student hands to ``grade.check`` in a cell."""

    def __init__(self, namespace: Mapping[str, Any]) -> None:
        self._namespace = namespace
        self._home: tempfile.TemporaryDirectory[str] | None = None

    def has(self, name: str) -> bool:
        """Whether there is something of that name."""
        return name in self._namespace

    def get(self, name: str) -> Any:
        """Return a copy, so that a check cannot change the student's value."""
        return copy.deepcopy(self._namespace[name])

    def mock_server(self, respond: MockHandler) -> AbstractContextManager[str]:
        """Give the address of a server on the loopback."""
        from mlops_lab.grade.mock_server import local_mock_server

        return local_mock_server(respond)

    def call(self, name: str, arguments: tuple[Any, ...], keywords: Mapping[str, Any]) -> Call:
        """Call a function and compare its arguments and the random state before and after."""
        if not any(type(one).__name__ == "KerasFile" for one in arguments):
            return observe(self._namespace[name], arguments, keywords)
        from mlops_lab.grade import keras_models

        now = tuple(keras_models.live(one) for one in arguments)
        done = observe(self._namespace[name], now, keywords)
        return replace(done, value=keras_models.given(arguments, now, done.value))

    def until(self, name: str, arguments: tuple[Any, ...], before: int, others: tuple[Any, ...] | None) -> str:
        """Call a function until just before one of its file operations."""
        from mlops_lab.grade import interrupt

        return interrupt.run(self._namespace[name], arguments, before, others)

    def call_concurrently(
        self, name: str, arguments: tuple[Any, ...], given: list[Any], threads: int, pages: int
    ) -> Any:
        """Make an object and call it from several threads at once."""
        from mlops_lab.grade import concurrent_calls

        try:
            return concurrent_calls.run(self._namespace[name], arguments, given, threads, pages)
        except (CheckTimeout, Failed):
            raise
        except Exception as error:
            raise Failed(f"{name} raised {describe(error)}", hint="raises", received=describe(error)) from None

    def shared_folder(self) -> SharedFolder:
        """Return a new folder, which is removed with this answer."""
        import tempfile

        from mlops_lab.grade.shared_folder import SharedFolder

        if self._home is None:
            self._home = tempfile.TemporaryDirectory(prefix="mlops-lab-")
            weakref.finalize(self, self._home.cleanup)
        return SharedFolder(Path(self._home.name), self._home.name, lambda: None)


def observe(function: Callable[..., Any], arguments: tuple[Any, ...], keywords: Mapping[str, Any]) -> Call:
    """Call a function, and see what it did beside returning."""
    which_changed, random_before = changes(arguments), random_state()
    started = time.perf_counter()
    value, error, kind = None, "", ""
    try:
        value = function(*arguments, **keywords)
    except (CheckTimeout, Failed):
        raise
    except BaseException as caught:  # SystemExit and KeyboardInterrupt are answers as well
        error, kind = describe(caught), type(caught).__name__
    seconds = time.perf_counter() - started
    return Call(value, error, kind, which_changed(), random_state() != random_before, seconds)


def changes(arguments: Sequence[Any]) -> Callable[[], tuple[int, ...]]:
    """Return a function that says which of some arguments are not what they are now.

    Examples
    --------
    >>> given = [1], [2]
    >>> which_changed = changes(given)
    >>> given[1].append(3)
    >>> which_changed()
    (1,)
    """
    before = [_digest(one) for one in arguments]
    return lambda: tuple(place for place, one in enumerate(arguments) if _digest(one) != before[place])


def describe(error: BaseException) -> str:
    """Return an error with the student's own line, such as ``"ValueError: bad shape (line 3: x.reshape(2))"``."""
    text = clip(f"{type(error).__name__}: {error}".rstrip(": "), 300)
    own = [frame for frame in traceback.extract_tb(error.__traceback__) if not frame.filename.startswith(_MACHINERY)]
    return f"{text} (line {own[-1].lineno}: {clip(own[-1].line, 80)})" if own and own[-1].line else text


NOT_OWN = "{} is a function of this library, not an answer."


def library_name(value: Any) -> str:
    """Return the full name of a function of this library; empty for anything else.

    Examples
    --------
    >>> library_name(library_name), library_name(len)
    ('mlops_lab.grade.calls.library_name', '')
    """
    function = getattr(value, "func", value)  # of a functools.partial
    module = str(getattr(function, "__module__", "") or "")
    known = callable(function) and module.split(".")[0] == "mlops_lab" and hasattr(function, "__qualname__")
    return f"{module}.{function.__qualname__}" if known else ""


_MACHINERY = str(Path(__file__).parent)


def _digest(value: Any) -> Any:
    """Return something that is equal exactly where two values are; copies small things."""
    numpy = sys.modules.get("numpy")
    if numpy is not None and isinstance(value, numpy.ndarray):
        return (value.shape, value.dtype.str, hash(value.tobytes())) if value.nbytes <= TOO_LARGE else None
    if isinstance(value, list | tuple):
        return tuple(_digest(one) for one in value)
    if isinstance(value, dict):
        return {key: _digest(one) for key, one in value.items()}
    return value if isinstance(value, str | bytes | int | float | bool | None) else id(value)


def random_state() -> Any:
    """Return the state of Python's and NumPy's global random numbers, as something that can be compared.

    NumPy loads its random numbers when they are first used, which must not look like a change of them.
    """
    numpy = sys.modules.get("numpy")
    return hash(random.getstate()), _state_of(numpy.random.get_state()) if numpy is not None else None


def _state_of(state: Any) -> Any:
    return tuple(part.tobytes() if hasattr(part, "tobytes") else part for part in state)


def named(answer: Any, names: tuple[str, ...]) -> dict[str, Any]:
    """Return an answer by the names of an exercise: one thing, a tuple in their order, a dict, or a module.

    Examples
    --------
    >>> named((1, 2), ("first", "second"))
    {'first': 1, 'second': 2}
    """
    if len(names) == 1:
        return {names[0]: answer}
    if isinstance(answer, Mapping):
        return dict(answer)
    if isinstance(answer, tuple | list):
        if len(answer) != len(names):
            raise WrongUsage(f"{len(answer)} answers were given; {len(names)} are needed.", f"Give {', '.join(names)}.")
        return dict(zip(names, answer, strict=True))
    return {name: getattr(answer, name) for name in _present(answer, names)}


def _present(answer: Any, names: tuple[str, ...]) -> Iterator[str]:
    return (name for name in names if hasattr(answer, name))
