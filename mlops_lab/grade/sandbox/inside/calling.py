"""Define a student's functions and call them as the grader asks, one JSON message a line."""

import base64
import itertools
import json
import os
import queue
import socket
import sys
import threading
import traceback

import __main__ as first

# What a world that a check plays may raise into a student's code, Ctrl-C among it.
RAISED = (
    ValueError, RuntimeError, KeyError, OSError, TimeoutError, TypeError, ConnectionError, KeyboardInterrupt,
    LookupError, PermissionError, FileNotFoundError, ArithmeticError,
)  # fmt: skip
BUILTIN = {error.__name__: error for error in RAISED}


def run(order):
    """Run the sources, say what they define, then obey."""
    channel = Channel(socket.socket(fileno=order["channel"]))
    port = first.load("serving").relay(order["inner"])
    namespace, problem = {"__name__": "__main__", "__file__": os.path.abspath("answers.py")}, ""
    for name, text in order["sources"]:
        try:
            exec(compile(text, name, "exec"), namespace)
        except BaseException as error:
            problem = f"{name}: {''.join(traceback.format_exception_only(error)).strip()}"
    caller = FunctionCaller(channel, namespace)
    names = [name for name in namespace if not name.startswith("__")]
    library = {name: own for name in names if (own := caller.calls.library_name(namespace[name]))}
    channel.send({"names": names, "problem": problem, "library": library, "port": port})
    caller.obey()


class Channel:
    """One JSON message a line, both ways. Several threads of the student's may ask the grader at the same time."""

    def __init__(self, sock):
        self.reader, self.sock = sock.makefile("rb"), sock
        # Another process of the same submission may have asked before: its replies must not be taken for ours.
        self.writing, self.numbers = threading.Lock(), itertools.count(int.from_bytes(os.urandom(6)))
        self.orders, self.waiting = queue.SimpleQueue(), {}
        threading.Thread(target=self.listen, daemon=True).start()

    def send(self, message):
        """Send a message."""
        text = json.dumps(message).encode() + b"\n"
        with self.writing:
            self.sock.sendall(text)

    def listen(self):
        """Give each reply to the thread that asked, and orders to the first one; end with the grader."""
        for line in self.reader:
            message = json.loads(line)
            box = self.waiting.pop(message["reply"], None) if "reply" in message else self.orders
            if box is not None:
                box.put(message)
        os._exit(0)

    def receive(self):
        """Return the next order."""
        return self.orders.get()

    def ask(self, message):
        """Send a message and return the reply to it."""
        number, box = next(self.numbers), queue.SimpleQueue()
        self.waiting[number] = box
        aside = threading.current_thread() is not threading.main_thread()
        self.send({**message, "ask": number, "thread": aside})
        return box.get()


class FunctionCaller:
    """Does what the grader asks."""

    def __init__(self, channel, namespace):
        from mlops_lab.grade import calls, keras_models, wire

        self.calls, self.wire, self.models = calls, wire, keras_models
        self.channel, self.namespace, self.objects = channel, namespace, []

    def obey(self):
        """Answer one order after the other."""
        while True:
            order = self.channel.receive()
            try:
                reply = self.do(order)
            except BaseException as error:
                reply = {"error": self.calls.describe(error), "kind": type(error).__name__}
            self.channel.send(reply)

    def do(self, order):
        """Return what one order gives."""
        if "get" in order:
            return {"value": self.pack(self.namespace[order["get"]])}
        function = (
            self.namespace[order["call"]]
            if "call" in order
            else getattr(self.objects[order["object"]], order["method"])
        )
        passed = self.wire.decode(order["args"], self.unpack)
        arguments = [self.models.live(one) for one in passed]
        if "before" in order:
            from mlops_lab.grade import interrupt

            others = None if order["others"] is None else self.wire.decode(order["others"], self.unpack)
            return {"value": interrupt.run(function, arguments, order["before"], others)}
        if "concurrent" in order:
            from mlops_lab.grade import concurrent_calls

            given = self.wire.decode(order["concurrent"], self.unpack)
            found = concurrent_calls.run(function, arguments, given, order["threads"], order["pages"])
            return {"value": {"dict": [[name, self.pack(value)] for name, value in found.items()]}}
        keywords = self.wire.decode(order["kwargs"], self.unpack)
        done = self.calls.observe(function, tuple(arguments), keywords)
        sys.stdout.flush()
        return {
            "value": self.pack(self.models.given(passed, arguments, done.value)),
            "error": done.error, "kind": done.kind, "changed": list(done.changed),
            "after": {str(place): self.pack(arguments[place]) for place in done.changed},
            "random_changed": done.random_changed,
        }  # fmt: skip

    def pack(self, value):
        """Return a value as it crosses."""
        return self.wire.encode(value, self.special)

    def special(self, value):
        """Return what stands for an object that does not cross itself."""
        if self.models.is_model(value):
            return {"keras": base64.b64encode(self.models.data_of(value)).decode()}
        self.objects.append(value)
        return {"object": len(self.objects) - 1, "type": type(value).__name__}

    def unpack(self, value):
        """Return an object of ours, or a function that calls the grader's."""
        if "object" in value:
            return self.objects[value["object"]]

        def call_back(*arguments, **keywords):
            message = {"callback": value["callback"], "args": self.pack(list(arguments))}
            reply = self.channel.ask({**message, "kwargs": self.pack(keywords)})
            if "raise" in reply:
                raise BUILTIN.get(reply["raise"], RuntimeError)(reply["text"])
            for place, after in reply["after"].items():
                self.wire.copy_back(arguments[int(place)], self.wire.decode(after, self.unpack))
            return self.wire.decode(reply["value"], self.unpack)

        return call_back
