import asyncio
import threading
import time

import pytest

from mlops_lab.errors import Unavailable
from mlops_lab.serve.http.dispatcher import Dispatcher


def test_a_call_runs_in_a_thread_and_returns_its_value():
    dispatcher = Dispatcher(2)
    assert asyncio.run(dispatcher.run(threading.get_ident)) != threading.get_ident()


def test_what_a_call_raises_reaches_the_caller():
    with pytest.raises(ZeroDivisionError):
        asyncio.run(Dispatcher(1).run(lambda: 1 // 0))


def test_no_more_calls_run_than_there_are_threads_and_idle_threads_are_used_again():
    dispatcher, names, lock = Dispatcher(3), set(), threading.Lock()

    def call():
        with lock:
            names.add(threading.current_thread())
        time.sleep(0.002)

    async def many():
        await asyncio.gather(*(dispatcher.run(call) for _ in range(30)))

    asyncio.run(many())
    assert len(names) == 3
    assert dispatcher.pending == 0
    dispatcher.stop()
    for thread in names:
        thread.join(5)
        assert not thread.is_alive()


def test_a_full_dispatcher_refuses():
    dispatcher, leave = Dispatcher(1), threading.Event()

    async def fill():
        first = asyncio.ensure_future(dispatcher.run(leave.wait))
        await asyncio.sleep(0)
        with pytest.raises(Unavailable, match="threads=1"):
            dispatcher.check()
        leave.set()
        await first
        dispatcher.check()

    asyncio.run(fill())


def test_the_end_of_the_loop_is_no_error_for_a_thread_that_is_busy(capfd):
    dispatcher, leave = Dispatcher(1), threading.Event()

    async def leave_early():
        task = asyncio.ensure_future(dispatcher.run(leave.wait))
        await asyncio.sleep(0.01)
        task.cancel()

    asyncio.run(leave_early())
    leave.set()
    time.sleep(0.05)
    assert capfd.readouterr().err == ""
