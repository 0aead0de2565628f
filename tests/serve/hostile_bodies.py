"""Bodies that no client would send, made from one that a client would: seeded, so that a failure can be seen again."""

import copy
import json
import random

ODD = [
    None,
    True,
    False,
    0,
    -1,
    3.5,
    2**31,
    2**63,
    -(2**63),
    10**30,
    1e300,
    "",
    "x",
    "1.5",
    "x" * 5000,
    "\u0000",
    "\ud800",
    [],
    [[]],
    [[], [1]],
    [1, [2]],
    ["a", 1],
    [None],
    {},
    {"b64": "AAAA"},
    {"b64": 1},
    [0.5] * 4,
    [[0.0] * 2] * 2,
    [10**9, 2, 2, 1],
    [-1, 2, 2, 1],
    [0, 2, 2, 1],
    [2**62, 2**62, 4],
    [True, 2, 2, 1],
    "FP64",
    "BYTES",
    "INT64",
    "UINT8",
    "FP16",
]
FRAGMENTS = [
    b"NaN",
    b"Infinity",
    b"-Infinity",
    b"1e999",
    b"{",
    b"}",
    b"[",
    b"]",
    b'"',
    b"\\",
    b"\xff\xfe",
    b"\x00",
    b",",
]


def places(value, path=()):
    """Yield the path of everything in a JSON value, lists only as far as their first two items."""
    yield path
    if isinstance(value, dict):
        for key in value:
            yield from places(value[key], (*path, key))
    elif isinstance(value, list):
        for index in range(min(2, len(value))):
            yield from places(value[index], (*path, index))


def spoil(value, chance):
    """Return a copy of a JSON value with something odd, missing, doubled or renamed in it."""
    path = chance.choice(list(places(value))[1:])
    spoilt = copy.deepcopy(value)
    parent = spoilt
    for key in path[:-1]:
        parent = parent[key]
    act = chance.randrange(5)
    if act == 0:
        del parent[path[-1]]
    elif act == 1 and isinstance(parent, dict):
        parent[chance.choice(["", "nope", "data", "shape", "parameters", "b64", "inputs"])] = parent.pop(path[-1])
    elif act == 2 and isinstance(parent, list):
        parent.extend(copy.deepcopy(parent) * chance.choice([1, 300 // len(parent)]))
    else:
        parent[path[-1]] = copy.deepcopy(chance.choice(ODD))
    return spoilt


def mangle(body, chance):
    """Return bytes with a piece cut out, put in, doubled or flipped."""
    start = chance.randrange(len(body) + 1)
    end = min(len(body), start + chance.choice([0, 1, 7, 100, len(body)]))
    act = chance.randrange(4)
    if act == 0:
        return body[:start] + body[end:]
    if act == 1:
        return body[:start] + chance.choice(FRAGMENTS) * chance.choice([1, 1, 9, 3000]) + body[start:]
    if act == 2:
        return body[:start] + body[start:end] * 2 + body[end:]
    return body[:start] + chance.randbytes(end - start) + body[end:]


def bodies(valid, number, seed):
    """Yield so many hostile bodies: about two of three are still JSON."""
    chance = random.Random(seed)
    for _ in range(number):
        message = chance.choice(valid)
        for _ in range(chance.choice([1, 1, 2, 3])):
            if isinstance(message, dict) and message:
                message = spoil(message, chance)
        body = json.dumps(message).encode()
        yield mangle(body, chance) if chance.random() < 0.35 else body
