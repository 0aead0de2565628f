"""What metrics, the gate and the access log cost a request: CPU time of ``POST`` of a 28×28 PNG, with and without.

    python benchmarks/operations.py [--rounds 40]

Every round measures each variant in turn, in one thread and without a socket, so that a busy machine troubles all of
them alike; the medians are compared. Then the requests per second over a socket are told, four connections at a time.
"""

import argparse
import http.client
import io
import statistics
import threading
import time

import numpy as np

from mlops_lab.image import encode_png
from mlops_lab.serve import create_app, start
from mlops_lab.store import ModelStore

PNG = encode_png(np.random.default_rng(0).integers(0, 255, (28, 28)))
PATH = "/models/clothes/v1"
MODULES = tuple(f"mlops_lab.serve.operations.{name}" for name in ("metrics", "tf_metrics", "gate"))


def without(models):
    """Return the application with the hooks of metrics and gate taken out."""
    app = create_app(models, on_prediction=None)
    for funcs in (app.before_request_funcs, app.after_request_funcs, app.teardown_request_funcs):
        for key, hooks in funcs.items():
            funcs[key] = [hook for hook in hooks if hook.__module__ not in MODULES]
    return app


def ask(app):
    """Send one request through the application, without a socket."""
    environ = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": PATH,
        "QUERY_STRING": "",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_HOST": "localhost",
        "CONTENT_TYPE": "image/png",
        "CONTENT_LENGTH": str(len(PNG)),
        "wsgi.input": io.BytesIO(PNG),
        "wsgi.errors": io.StringIO(),
        "wsgi.url_scheme": "http",
        "wsgi.version": (1, 0),
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    seen = []
    answer = app(environ, lambda status, headers, error=None: seen.append(status))
    body = b"".join(answer)
    answer.close()
    assert seen == ["200 OK"], body


def cpu(app, times=100):
    """Return microseconds of this thread's CPU for one request."""
    started = time.thread_time()
    for _ in range(times):
        ask(app)
    return 1e6 * (time.thread_time() - started) / times


def rate(port, seconds=2.0, connections=4):
    """Return requests per second over loopback."""
    counts, end = [0] * connections, time.perf_counter() + seconds

    def work(place):
        connection = http.client.HTTPConnection("127.0.0.1", port)
        while time.perf_counter() < end:
            connection.request("POST", PATH, PNG, {"Content-Type": "image/png"})
            answer = connection.getresponse()
            assert answer.status == 200, answer.read()
            answer.read()
            counts[place] += 1
        connection.close()

    threads = [threading.Thread(target=work, args=(place,)) for place in range(connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts) / seconds


def main():
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--models", default="models")
    parser.add_argument("--rounds", type=int, default=40)
    options = parser.parse_args()
    models = [ModelStore(options.models).load("clothes", 1)]
    apps = {
        "without": without(models),
        "with": create_app(models),
        "with access log": create_app(models, access_log=io.StringIO()),
    }
    spent = {name: [] for name in apps}
    for app in apps.values():
        cpu(app, 200)
    for _ in range(options.rounds):
        for name, app in apps.items():
            spent[name].append(cpu(app))
    base = statistics.median(spent["without"])
    for name, values in spent.items():
        median = statistics.median(values)
        ratio = statistics.median(one / other for one, other in zip(values, spent["without"], strict=True))
        print(
            f"{name:16} {median:7.1f} µs of CPU a request, {median - base:+6.1f} µs, × {ratio:.2f}"
            f" ({min(values):.0f} µs at best)"
        )
    rates = {name: [] for name in apps}
    running = {name: start(app, name=name) for name, app in apps.items()}
    for _ in range(max(3, options.rounds // 8)):
        for name, server in running.items():
            rates[name].append(rate(server.port))
    for name, values in rates.items():
        running[name].stop()
        print(f"{name:16} {statistics.median(values):7.1f} requests/s, client and server in one process")


if __name__ == "__main__":
    main()
