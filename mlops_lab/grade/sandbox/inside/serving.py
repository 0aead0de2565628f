"""Serve a student's file on the loopback, whatever kind of server it is, and forward there what the grader asks."""

import contextlib
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
    control = socket.socket(fileno=order["control"])
    status = os.fdopen(order["status"], "w", encoding="utf-8")

    def send(**message):
        status.write(json.dumps(message) + "\n")
        status.flush()

    os.environ["DIGITS_URL"] = f"http://127.0.0.1:{relay(order['inner'])}"
    path = os.path.abspath(order["file"])
    own = socket.create_server(("127.0.0.1", 0), backlog=128)  # bound before the file's ports are counted
    forwarder = Forwarder(control, ports_bound(), send)
    try:
        app = find(load(path))
    except BaseException as error:  # SystemExit of the file as well
        send(problem=explain(error))
        os._exit(3)
    if app is None:
        forwarder.stop_after(order["load_seconds"])
        run_as_program(path, send)
    forwarder.port = own.getsockname()[1]
    send(loaded=type(app).__module__.split(".")[0])
    serve(app, own)


def relay(descriptor):
    """Listen on the loopback for what the file asks of another server; the grader answers. Return the port."""
    control = socket.socket(fileno=descriptor)
    listener = socket.create_server(("127.0.0.1", 0))

    def accept():
        while True:
            client, _ = listener.accept()
            ours, theirs = socket.socketpair()
            socket.send_fds(control, [b"x"], [theirs.fileno()])
            theirs.close()
            start(copy, client, ours)
            start(copy, ours, client)

    threading.Thread(target=accept, daemon=True).start()
    return listener.getsockname()[1]


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


def run_as_program(path, send):
    """Run a file that names no application: it starts a server of its own, which the forwarder finds."""
    os.environ.pop("FLASK_RUN_FROM_CLI", None)
    try:
        runpy.run_path(path, run_name="__main__")
    except BaseException as error:
        send(problem=explain(error))
        os._exit(3)
    send(problem="The file names no application such as `app`, and ended without starting a server.")
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
    """Forwards what the grader asks to a port of the loopback: our own, or one that the file itself listens on."""

    def __init__(self, control, ports, send):
        self.control, self.ports, self.send = control, ports, send
        self.port = self.deadline = None
        threading.Thread(target=self.watch, daemon=True).start()

    def stop_after(self, seconds):
        """Give up where no port is bound in time."""
        self.deadline = time.monotonic() + seconds

    def watch(self):
        """Wait for a port, then forward until the process ends."""
        while self.port is None:
            time.sleep(0.02)
            if self.ports and accepts(self.ports[-1]):
                self.port = self.port or self.ports[-1]
                self.send(loaded="program", port=self.port)
            elif self.deadline is not None and time.monotonic() > self.deadline:
                self.send(problem="The file started no server.")
                os._exit(3)
        while True:
            try:
                message, descriptors, _, _ = socket.recv_fds(self.control, 1, 1)
            except OSError:
                message = b""
            if not message:
                os._exit(0)  # the grader has ended, and no namespace may be there to end with it
            for descriptor in descriptors:
                start(self.forward, socket.socket(fileno=descriptor))

    def forward(self, client):
        """Copy bytes both ways, until the grader has what it wants."""
        client.set_inheritable(False)
        with client:
            try:
                server = connect(self.port, 5)
            except OSError:
                return
            with server:
                server.settimeout(None)
                start(copy, server, client)
                copy(client, server)
                drain(client)  # what the server did not read: closing before would take back the end of its answer
                shut(server, socket.SHUT_RDWR)


def accepts(port):
    """Whether somebody listens on a port."""
    try:
        connect(port, 1).close()
    except OSError:
        return False
    return True


def connect(port, seconds):
    """Return a connection to a port of the loopback, IPv6's where nobody listens on the other."""
    try:
        return socket.create_connection(("127.0.0.1", port), timeout=seconds)
    except ConnectionRefusedError:
        return socket.create_connection(("::1", port), timeout=seconds)


def start(function, *sockets):
    """Run a function in a thread; where the limit allows no more, close the sockets."""
    try:
        threading.Thread(target=function, args=sockets, daemon=True).start()
    except RuntimeError:
        for one in sockets:
            shut(one, socket.SHUT_RDWR)


def copy(source, target):
    """Copy bytes until there are no more, then say so."""
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    shut(target, socket.SHUT_WR)


def drain(source):
    """Read what comes until the other side closes."""
    with contextlib.suppress(OSError):
        while source.recv(65536):
            pass


def shut(one, how):
    """Say that no more is sent, or read."""
    with contextlib.suppress(OSError):
        one.shutdown(how)


def explain(error):
    """Return the end of a traceback, from the file's own code on."""
    trace = traceback.TracebackException.from_exception(error)
    frames = [frame for frame in trace.stack if not frame.filename.startswith(("<frozen", os.path.dirname(__file__)))]
    trace.stack = traceback.StackSummary.from_list(frames)
    return "\n".join("".join(trace.format()).rstrip().splitlines()[-6:])[:2000]
