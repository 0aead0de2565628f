"""Serve a student's file on the socket that the grader listens on, whatever kind of server it is."""

import importlib.util
import inspect
import json
import os
import runpy
import socket
import sys
import threading
import time
import traceback

NAMES = ("app", "application", "api", "server")
FACTORIES = ("create_app", "make_app", "build_app", "get_app")


def run(order):
    """Load the file and answer until the grader ends this process."""
    listener = socket.socket(fileno=order["socket"])
    listener.setblocking(True)
    status = os.fdopen(order["status"], "w", encoding="utf-8")

    def tell(**message):
        status.write(json.dumps(message) + "\n")
        status.flush()

    os.environ["DIGITS_URL"] = f"http://127.0.0.1:{relay(order['inner'])}"
    path = os.path.abspath(order["file"])
    bound = ports_bound()
    forwarder = Forwarder(listener, bound, tell)
    try:
        app = find(load(path))
    except BaseException as error:  # SystemExit of the file as well
        tell(problem=explain(error, path))
        os._exit(3)
    if app is None:
        forwarder.stop_after(order["load_seconds"])
        run_as_program(path, tell)
    forwarder.stop()
    tell(loaded=type(app).__module__.split(".")[0])
    serve(app, listener)


def relay(descriptor):
    """Listen on the loopback for what the file asks of another server; the grader answers. Return the port."""
    control = socket.socket(fileno=descriptor)
    door = socket.create_server(("127.0.0.1", 0))

    def accept():
        while True:
            client, _ = door.accept()
            ours, theirs = socket.socketpair()
            socket.send_fds(control, [b"x"], [theirs.fileno()])
            theirs.close()
            threading.Thread(target=copy, args=(client, ours), daemon=True).start()
            threading.Thread(target=copy, args=(ours, client), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    return door.getsockname()[1]


def load(path):
    """Import the file under its own name, as ``flask run`` and uvicorn do."""
    os.environ["FLASK_RUN_FROM_CLI"] = "true"  # an app.run at the file's top is passed over; the rubric reads of it
    name = os.path.splitext(os.path.basename(path))[0]
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def find(module):
    """Return the application: by the usual names, from a factory, or the only one there is."""
    things = vars(module)
    for name in NAMES:
        if is_application(things.get(name)):
            return things[name]
    for name in FACTORIES:
        if callable(things.get(name)):
            app = things[name]()
            if is_application(app):
                return app
    return next((one for one in things.values() if is_application(one) and not inspect.isclass(one)), None)


def is_application(thing):
    """Whether something is a WSGI or ASGI application of a known framework, or any that says so by its signature."""
    if thing is None or inspect.isclass(thing) or inspect.ismodule(thing) or not callable(thing):
        return False
    if type(thing).__module__.split(".")[0] in ("flask", "fastapi", "starlette", "quart", "bottle", "falcon"):
        return hasattr(thing, "wsgi_app") or hasattr(thing, "router") or hasattr(thing, "wsgi") or is_asgi(thing)
    try:
        wanted = list(inspect.signature(thing).parameters)
    except (TypeError, ValueError):
        return False
    return wanted[-2:] == ["environ", "start_response"] or wanted[-3:] == ["scope", "receive", "send"]


def is_asgi(app):
    """Whether an application is called as ASGI says."""
    call = app if inspect.isfunction(app) else type(app).__call__
    return inspect.iscoroutinefunction(call)


def serve(app, listener):
    """Answer on the socket."""
    if is_asgi(app):
        import uvicorn

        uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False)).run(sockets=[listener])
        return
    from werkzeug.serving import WSGIRequestHandler, make_server

    class Quiet(WSGIRequestHandler):
        def log(self, type, message, *args):
            if type == "error":
                super().log(type, message, *args)

    host, port = listener.getsockname()[:2]
    make_server(host, port, app, threaded=True, request_handler=Quiet, fd=listener.fileno()).serve_forever()


def run_as_program(path, tell):
    """Run a file that names no application: it starts a server of its own, which the forwarder finds."""
    os.environ.pop("FLASK_RUN_FROM_CLI", None)
    try:
        runpy.run_path(path, run_name="__main__")
    except BaseException as error:
        tell(problem=explain(error, path))
        os._exit(3)
    tell(problem="The file names no application such as `app`, and ended without starting a server.")
    os._exit(3)


def ports_bound():
    """Return a list that grows by each port this process binds."""
    ports = []

    def hook(event, arguments):
        if event == "socket.bind" and isinstance(arguments[1], tuple) and arguments[1][1]:
            ports.append(arguments[1][1])

    sys.addaudithook(hook)
    return ports


class Forwarder:
    """Forwards connections to a port that the file itself listens on, once it does."""

    def __init__(self, listener, ports, tell):
        self.listener, self.ports, self.tell = listener, ports, tell
        self.stopped, self.deadline = threading.Event(), None
        threading.Thread(target=self.watch, daemon=True).start()

    def stop(self):
        """Leave the socket to the application."""
        self.stopped.set()

    def stop_after(self, seconds):
        """Give up where no port is bound in time."""
        self.deadline = time.monotonic() + seconds

    def watch(self):
        """Wait for a port, then forward until the process ends."""
        while not self.stopped.wait(0.02):
            if self.ports and accepts(self.ports[-1]):
                self.tell(loaded="program", port=self.ports[-1])
                break
            if self.deadline is not None and time.monotonic() > self.deadline:
                self.tell(problem="The file started no server.")
                os._exit(3)
        while not self.stopped.is_set():
            client, _ = self.listener.accept()
            threading.Thread(target=self.forward, args=(client,), daemon=True).start()

    def forward(self, client):
        """Copy bytes both ways."""
        try:
            server = socket.create_connection(("127.0.0.1", self.ports[-1]), timeout=5)
            server.settimeout(None)
        except OSError:
            client.close()
            return
        threading.Thread(target=copy, args=(client, server), daemon=True).start()
        copy(server, client)
        client.close()
        server.close()


def accepts(port):
    """Whether somebody listens on a port."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def copy(source, target):
    """Copy bytes until there are no more."""
    try:
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def explain(error, path):
    """Return the end of a traceback, from the file's own code on."""
    trace = traceback.TracebackException.from_exception(error)
    frames = [frame for frame in trace.stack if not frame.filename.startswith(("<frozen", os.path.dirname(__file__)))]
    trace.stack = traceback.StackSummary.from_list(frames)
    return "\n".join("".join(trace.format()).rstrip().splitlines()[-6:])[:2000]
