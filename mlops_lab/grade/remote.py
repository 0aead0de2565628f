"""Call a student's functions where they live: in the sandbox. Values cross as JSON, never as pickle."""

from __future__ import annotations

import base64
import itertools
import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from mlops_lab.grade.calls import NOT_OWN, Call, changes
from mlops_lab.grade.cases import CheckTimeout, Failed
from mlops_lab.grade.mock_server import MockHandler, MockServer, not_ready
from mlops_lab.grade.results import clip
from mlops_lab.grade.sandbox import Isolation, Sandbox
from mlops_lab.grade.sandbox.isolation import SUBMISSION
from mlops_lab.grade.shared_folder import SharedFolder
from mlops_lab.grade.wire import KerasFile as KerasFile
from mlops_lab.grade.wire import copy_back, decode, encode

MAX_LINE = 16_000_000  # bytes of one message
START_SECONDS = 60.0
MAX_CALLBACKS = 200  # of threads of the student's that ask at the same time
MAX_ASIDE = 65_536  # bytes of a message that may wait beside others; larger ones are answered one by one


class RemoteObject:
    """An object that stays in the sandbox; its methods can be called."""

    def __init__(self, target: RemoteTarget, number: int, kind: str) -> None:
        self._target, self._number, self._kind = target, number, kind

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name.startswith("_"):
            raise AttributeError(name)

        def method(*arguments: Any, **keywords: Any) -> Any:
            done = self._target.send({"object": self._number, "method": name}, arguments, keywords)
            if done.error:
                raise Failed(f"{self._kind}.{name} raised {done.error}", hint="raises", received=done.error)
            return done.value

        return method

    def __repr__(self) -> str:
        return f"<{self._kind} of the student>"


class RemoteTarget:
    """The functions of a submission, running in a sandbox of their own.

    Parameters
    ----------
    folder
        The submission; it is copied.
    sources
        Names and texts that are run in order to define the functions.
    isolation
        What holds.

    Raises
    ------
    Failed
        They cannot be run.
    """

    def __init__(self, folder: Path, sources: list[tuple[str, str]], *, isolation: Isolation | None = None) -> None:
        self._callbacks: dict[int, Callable[..., Any]] = {}
        self._numbers = itertools.count()
        self._sources = sources
        self._writing, self._room = threading.Lock(), threading.BoundedSemaphore(MAX_CALLBACKS)
        self._sandbox = Sandbox(folder, isolation=isolation)
        self._server = MockServer()
        try:
            self._start()
        except BaseException:
            self._server.close()
            self._sandbox.close()
            self._reader.close()
            self._channel.close()
            raise

    def _start(self) -> None:
        """Start the process, run the sources, and hear what they define."""
        self._channel, theirs = socket.socketpair()
        os.set_inheritable(theirs.fileno(), True)
        self._reader = self._channel.makefile("rb")
        inner = self._server.descriptor
        order = {"program": "calling", "sources": self._sources, "channel": theirs.fileno(), "inner": inner}
        self._process = self._sandbox.start(order, (theirs.fileno(), inner))
        theirs.close()
        self._channel.settimeout(START_SECONDS)
        ready = self._receive()
        self._names: set[str] = {str(name) for name in ready.get("names", [])}
        library = ready.get("library", {})
        self._library: dict[str, Any] = library if isinstance(library, dict) else {}
        self.problem = clip(str(ready.get("problem", "")), 1000)
        self._port = clip(str(ready.get("port", "")), 5)
        self._channel.settimeout(None)

    def has(self, name: str) -> bool:
        """Whether the sources define a name."""
        if name not in self._names and self.problem:
            raise Failed(f"Your code stopped before {name}: {self.problem}", hint="raises", received=self.problem)
        if name in self._library:
            message = NOT_OWN.format(clip(str(self._library[name]), 100))
            raise Failed(f"{message} Write your own; then compare the two.", hint="library", received=message)
        return name in self._names

    def get(self, name: str) -> Any:
        """Return a plain value."""
        done = self.send({"get": name}, (), {})
        if done.error:
            raise Failed(f"{name} cannot be read: {done.error}", received=done.error)
        return done.value

    def call(self, name: str, arguments: tuple[Any, ...], keywords: Mapping[str, Any]) -> Call:
        """Call a function."""
        return self.send({"call": name}, arguments, keywords)

    def until(self, name: str, arguments: tuple[Any, ...], before: int, others: tuple[Any, ...] | None) -> str:
        """Call a function until just before one of its file operations."""
        order = {"call": name, "before": before, "others": None if others is None else encode(list(others))}
        done = self.send(order, arguments, {})
        if done.error:
            raise Failed(f"{name} raised {done.error}", hint="raises", received=done.error)
        return str(done.value)

    def call_concurrently(
        self, name: str, arguments: tuple[Any, ...], given: list[Any], threads: int, pages: int
    ) -> Any:
        """Call what a function makes from several threads of the sandbox."""
        order = {"call": name, "concurrent": encode(given), "threads": threads, "pages": pages}
        done = self.send(order, arguments, {})
        if done.error:
            raise Failed(f"{name} raised {done.error}", hint="raises", received=done.error)
        return done.value

    def shared_folder(self) -> SharedFolder:
        """Return a new folder in the sandbox's copy."""
        inside = self._sandbox.isolation.apart
        seen = SUBMISSION if inside else str(self._sandbox.folder)
        return SharedFolder(self._sandbox.folder, seen, self._sandbox.give_to_user)

    def send(self, order: dict[str, Any], arguments: tuple[Any, ...], keywords: Mapping[str, Any]) -> Call:
        """Send one order, answer what the student's code asks of our own functions meanwhile, and return the result."""
        if not self._process.alive:  # it was ended for the check before this one
            self._disconnect()
            self._start()
        self._callbacks = {}  # of this call: what a thread of the last one still asks for is not there any more
        packed = {"args": encode(list(arguments), self._pack), "kwargs": encode(dict(keywords), self._pack)}
        started = time.perf_counter()
        self._write({**order, **packed})
        while True:
            message = self._receive()
            if "callback" not in message:
                return self._result(message, arguments, time.perf_counter() - started)
            if message.get("thread") is True and self._size <= MAX_ASIDE:
                self._room.acquire()
                threading.Thread(target=self._reply_aside, args=(message,), daemon=True).start()
            else:
                self._reply(message)

    def _pack(self, value: Any) -> Any:
        if isinstance(value, RemoteObject):
            return {"object": value._number}
        if isinstance(value, KerasFile):
            return {"keras": base64.b64encode(value.data).decode()}
        if callable(value):
            number = next(self._numbers)
            self._callbacks[number] = value
            return {"callback": number}
        raise TypeError(f"A check passes {type(value).__name__}, which cannot cross into the sandbox.")

    def _reply(self, message: dict[str, Any]) -> None:
        self._write({**self._call_back(message), "reply": message.get("ask")})

    def _reply_aside(self, message: dict[str, Any]) -> None:
        """Answer one of several threads of the student's; what a check raises there is only an answer to it."""
        try:
            with suppress(Failed):  # the process has ended
                try:
                    self._reply(message)
                except Failed as failed:
                    self._write({"raise": "RuntimeError", "text": failed.message, "reply": message.get("ask")})
        finally:
            self._room.release()

    @contextmanager
    def mock_server(self, respond: MockHandler) -> Iterator[str]:
        """Give the address at which code in the sandbox finds a server that answers as the check says."""
        self._server.respond = respond
        try:
            yield f"http://127.0.0.1:{self._port}"
        finally:
            self._server.respond = not_ready

    def _call_back(self, message: dict[str, Any]) -> dict[str, Any]:
        """Call a function of the check for the student's code."""
        try:
            function = self._callbacks[int(message["callback"])]
            arguments = decode(message["args"], self._unpack)
            which_changed = changes(arguments)
            value = function(*arguments, **decode(message["kwargs"], self._unpack))
            after = {str(place): encode(arguments[place], self._pack) for place in which_changed()}
            return {"value": encode(value, self._pack), "after": after}
        except (CheckTimeout, Failed):
            raise
        except BaseException as error:  # a scripted failure of the world that the check plays
            return {"raise": type(error).__name__, "text": str(error)}

    def _unpack(self, value: dict[str, Any]) -> Any:
        if "object" in value:
            return RemoteObject(self, int(value["object"]), clip(str(value.get("type", "object")), 60))
        raise ValueError(f"not a value: {sorted(value)}")

    def _result(self, message: dict[str, Any], arguments: tuple[Any, ...], seconds: float) -> Call:
        try:
            changed = tuple(int(place) for place in message.get("changed", ()))
            after = message.get("after", {})
            for place in changed:
                copy_back(arguments[place], decode(after[str(place)], self._unpack) if str(place) in after else None)
            return Call(
                decode(message.get("value"), self._unpack),
                clip(str(message.get("error", "")), 400),
                clip(str(message.get("kind", "")), 60),
                changed,
                bool(message.get("random_changed")),
                seconds,
            )
        except (ValueError, TypeError, LookupError, AttributeError) as error:
            raise Failed(f"What came back is not a value: {clip(error, 100)}.", hint="raises") from None

    def _write(self, message: dict[str, Any]) -> None:
        text = json.dumps(message).encode() + b"\n"
        try:
            with self._writing:
                self._channel.sendall(text)
        except OSError:
            raise self._gone() from None

    def _receive(self) -> dict[str, Any]:
        try:
            line = self._reader.readline(MAX_LINE)
            self._size = len(line)
            message = json.loads(line)
        except TimeoutError:
            raise Failed(f"Your code was still running after {START_SECONDS:.0f} s.", hint="late") from None
        except (OSError, ValueError, RecursionError):
            raise self._gone() from None
        if not isinstance(message, dict):
            raise self._gone()
        return message

    def _gone(self) -> Failed:
        """Return what is to be said of a process that ended, or sent what is no message."""
        self._process.wait(1)
        why = f"it used too much {self._process.ended_by}" if self._process.ended_by else "its process ended"
        tail = self._process.output[-300:]
        self.kill()
        return Failed(f"Your code gave no result: {why}.", hint="raises", received=tail)

    def kill(self) -> None:
        """End the process."""
        self._process.kill()

    def close(self) -> None:
        """End the process and remove the copy."""
        self._disconnect()
        self._server.close()
        self._sandbox.close()

    def _disconnect(self) -> None:
        self._process.kill()
        self._reader.close()
        self._channel.close()

    def __enter__(self) -> RemoteTarget:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
