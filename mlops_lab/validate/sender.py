"""The load generator: sends requests on a clock, whether or not answers came, and notes when each came.

A program of its own (``python sender.py``) that needs the standard library alone: so neither the interpreter lock of a
notebook nor that of a server in it delays the clock. It reads one JSON line from standard input and prints one line of
JSON. A wait is measured from when a request *should* have been sent, so a server that stalls cannot hide its queue.
"""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
import sys
import time
from collections import deque
from typing import Any

NO_ANSWER = "no answer"


class Connection(asyncio.Protocol):
    """One HTTP/1.1 connection: sends bytes, and tells the status of the answer once all of it has come."""

    transport: asyncio.Transport

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self._clear(None)

    def _clear(self, index: int | None) -> None:
        self.sent, self.received, self.status, self.head = index, bytearray(), "", 0
        self.left: int | None = None
        self.closes = self.last = False

    def connection_made(self, transport: Any) -> None:
        """Note the transport."""
        self.transport = transport

    def send(self, index: int) -> None:
        """Send a request; the connection answers nothing else until its answer has come."""
        self._clear(index)
        self.transport.write(self.pool.bodies[index % len(self.pool.bodies)])

    def data_received(self, data: bytes) -> None:
        """Read on; tell the pool once the answer is whole."""
        if self.sent is None:
            return
        self.received += data
        if not self.head and not self.read_head():
            return
        if self.left is None:  # chunked, or until the end
            whole = self.received.endswith(b"0\r\n\r\n") and not self.closes
        else:
            whole = len(self.received) - self.head >= self.left
        if whole:
            self.finish(self.status)

    def read_head(self) -> bool:
        """Read the status and how long the body is."""
        end = self.received.find(b"\r\n\r\n")
        if end < 0:
            return False
        lines = bytes(self.received[:end]).decode("latin-1").split("\r\n")
        self.head, self.status = end + 4, [*lines[0].split(" "), "", ""][1]
        fields = dict(line.lower().split(":", 1) for line in lines[1:] if ":" in line)
        length = fields.get("content-length", "").strip()
        chunked = "chunked" in fields.get("transfer-encoding", "")
        self.left = int(length) if length.isdigit() and not chunked else None
        if self.status in ("204", "304"):
            self.left = 0
        self.closes = self.left is None and not chunked
        self.last = "close" in fields.get("connection", "") or self.closes
        return True

    def finish(self, status: str) -> None:
        """Note the answer and free the connection."""
        index, self.sent = self.sent, None
        if index is not None:
            self.pool.done(index, status or NO_ANSWER)
        if self.last:
            self.transport.close()
        elif not self.transport.is_closing():
            self.pool.free(self)

    def connection_lost(self, error: Exception | None) -> None:
        """Note that no answer will come, unless the end of the connection was the end of the answer."""
        self.pool.lost(self)
        if self.sent is not None:
            self.finish(self.status if self.closes and self.head else NO_ANSWER)


class Pool:
    """The connections, the requests that wait for one, and what came of each request."""

    def __init__(self, plan: dict[str, Any]) -> None:
        self.bodies = [base64.b64decode(body) for body in plan["requests"]]
        self.address, self.secure, self.limit = (plan["host"], plan["port"]), plan["secure"], plan["connections"]
        self.timeout, self.closed_loop, self.end = plan["timeout"], plan["times"] is None, plan["seconds"]
        self.idle: list[Connection] = []
        self.waiting: deque[int] = deque()
        self.known: set[Connection] = set()
        self.pending: dict[int, tuple[float, float]] = {}
        self.results: list[tuple[float, float, float, str]] = []
        self.opening: set[asyncio.Task[None]] = set()
        self.opened, self.most, self.next = 0, 0, plan["connections"]
        self.start = time.perf_counter()

    def now(self) -> float:
        """Return the seconds since the start."""
        return time.perf_counter() - self.start

    def ask(self, index: int, intended: float) -> None:
        """Send a request now, on a free connection, a new one, or as soon as one is free."""
        self.pending[index] = (intended, self.now())
        self.most = max(self.most, len(self.pending))
        while self.idle:
            connection = self.idle.pop()
            if not connection.transport.is_closing():
                connection.send(index)
                return
        if self.opened < self.limit:
            self.open_soon(index)
        else:
            self.waiting.append(index)

    def open_soon(self, index: int) -> None:
        """Begin to open a connection for a request."""
        self.opened += 1
        task = asyncio.get_running_loop().create_task(self.open(index))
        self.opening.add(task)
        task.add_done_callback(self.opening.discard)

    async def open(self, index: int) -> None:
        """Open a connection and send a request on it."""
        context = ssl.create_default_context() if self.secure else None
        loop = asyncio.get_running_loop()
        try:
            connecting = loop.create_connection(lambda: Connection(self), *self.address, ssl=context)
            _, connection = await asyncio.wait_for(connecting, self.timeout)
        except (TimeoutError, OSError):
            self.opened -= 1
            await asyncio.sleep(0.05)  # a server that is gone is not asked ten thousand times a second
            self.done(index, NO_ANSWER)
            return
        self.known.add(connection)
        if index in self.pending:
            connection.send(index)
        else:
            self.free(connection)

    def free(self, connection: Connection) -> None:
        """Give a connection the next request that waits."""
        while self.waiting:
            index = self.waiting.popleft()
            if index in self.pending:
                connection.send(index)
                return
        self.idle.append(connection)

    def lost(self, connection: Connection) -> None:
        """Forget a connection, and open another where requests wait for one."""
        self.opened -= 1
        self.known.discard(connection)
        if connection in self.idle:
            self.idle.remove(connection)
        if self.waiting and self.opened < self.limit:
            self.open_soon(self.waiting.popleft())

    def done(self, index: int, status: str) -> None:
        """Note an answer; in a closed loop its client sends the next request."""
        found = self.pending.pop(index, None)
        if found is None:
            return
        intended, sent = found
        self.results.append((intended, sent - intended, self.now() - intended, status))
        if self.closed_loop and self.now() < self.end:
            self.next += 1
            asyncio.get_running_loop().call_soon(self.ask_now, self.next)

    def ask_now(self, index: int) -> None:
        """Send a request that is due now."""
        self.ask(index, self.now())

    def give_up(self) -> None:
        """Count what was not answered in time, and close its connections."""
        late = {index for index, (intended, _) in self.pending.items() if self.now() - intended > self.timeout}
        for connection in [one for one in self.known if one.sent in late]:
            connection.transport.abort()
        for index in late:
            self.done(index, NO_ANSWER)


async def run(plan: dict[str, Any]) -> dict[str, Any]:
    """Send everything on its time, wait for the answers, and return what came of each request."""
    pool = Pool(plan)
    loop = asyncio.get_running_loop()
    watch = loop.create_task(_watch(pool))
    if plan["times"] is None:
        for client in range(plan["connections"]):
            pool.ask(client, pool.now())
        await asyncio.sleep(plan["seconds"])
    else:
        for index, intended in enumerate(plan["times"]):
            wait = intended - pool.now()
            if wait > 0:
                await asyncio.sleep(wait)
            elif index % 16 == 0:
                await asyncio.sleep(0)  # behind the clock: let answers come in, too
            pool.ask(index, intended)
    while pool.pending:
        await asyncio.sleep(0.005)
    watch.cancel()
    for connection in list(pool.known):
        connection.transport.abort()
    return {"seconds": pool.now(), "most": pool.most, "results": pool.results}


async def _watch(pool: Pool) -> None:
    while True:
        await asyncio.sleep(min(0.1, pool.timeout / 4))
        pool.give_up()


if __name__ == "__main__":
    json.dump(asyncio.run(run(json.loads(sys.stdin.readline()))), sys.stdout)
