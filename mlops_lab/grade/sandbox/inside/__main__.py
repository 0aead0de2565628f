"""The first program inside the sandbox: take another user's id, set the limits, and only then meet students' code.

It is run as ``python -I -u FOLDER/__main__.py`` and reads one line, the order, from standard input.
"""

import importlib.util
import json
import os
import socket
import sys


def load(name):
    """Load a file beside this one, without putting its folder where students' imports would find it."""
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), f"{name}.py")
    spec = importlib.util.spec_from_file_location(f"mlops_lab_inside_{name}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def drop(uid):
    """Become another user, for good."""
    if uid is not None:
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
    os.umask(0o022)


def limit(limits):
    """Set what the kernel can hold."""
    try:
        import resource
    except ImportError:  # Windows: the parent watches what it can
        return
    wanted = {
        resource.RLIMIT_CPU: limits["cpu"],
        resource.RLIMIT_FSIZE: limits["file"],
        resource.RLIMIT_NOFILE: limits["files"],
        resource.RLIMIT_CORE: 0,
    }
    if sys.platform == "linux":
        wanted[resource.RLIMIT_AS] = limits["address_space"]
        wanted[resource.RLIMIT_NPROC] = limits["processes"]
    for kind, value in wanted.items():
        hard = resource.getrlimit(kind)[1]
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(kind, (value, value))


def received(path, names):
    """Receive in a container the descriptors that are inherited elsewhere."""
    with socket.socket(socket.AF_UNIX) as entrance:
        entrance.connect(path)
        descriptors = socket.recv_fds(entrance, 1, len(names))[1]
    return dict(zip(names, descriptors, strict=True))


def main():
    """Read the order, give up rights, set the limits, and run the program."""
    order = json.loads(sys.stdin.buffer.readline())
    if "entrance" in order:
        order.update(received(order["entrance"], order["descriptors"]))
    drop(order["uid"])
    limit(order["limits"])
    os.chdir(order["folder"])
    # The library first, the submission last: a numpy.py or a mlops_lab/ in it replaces nothing.
    sys.path += [path for path in (order["library"], order["folder"]) if path not in sys.path]
    sys.argv = [order.get("file", "")]
    load(order["program"]).run(order)


if __name__ == "__main__":
    main()
