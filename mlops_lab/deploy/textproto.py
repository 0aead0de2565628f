"""Enough of protobuf's text form to read a student's ``models.config`` without protobuf."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Any

from mlops_lab.errors import WrongUsage

Message = dict[str, list[Any]]
_STRING = r"""
    "(?:\\.|[^"\\\n])*" | '(?:\\.|[^'\\\n])*'
"""
_TOKEN = re.compile(rf"\s+ | \#[^\n]* | (?P<token> {_STRING} | [\w.+-]+ | [{{}}:<>,;] )", re.X)


def parse(text: str) -> Message:
    """Return the fields of a message, each a list, since any may be repeated.

    Raises
    ------
    WrongUsage
        It is not protobuf text; the message says in which line.

    Examples
    --------
    >>> parse("config { name: 'm' versions: 4 versions: 5 }  # two")
    {'config': [{'name': ['m'], 'versions': [4, 5]}]}
    """
    return _fields(_tokens(text), closing="")


def _fields(tokens: Iterator[tuple[str, int]], closing: str) -> Message:
    message: Message = {}
    for name, line in tokens:
        if name == closing:
            return message
        if name in ",;" and message:
            continue
        if not re.fullmatch(r"[A-Za-z_]\w*", name):
            raise _broken(f"{name!r} stands where the name of a field should", line)
        sign, line = next(tokens, ("", line))
        if sign == ":":
            sign, line = next(tokens, ("", line))
        value = _fields(tokens, "}" if sign == "{" else ">") if sign in ("{", "<") else _value(sign, line)
        message.setdefault(name, []).append(value)
    if closing:
        raise _broken(f"{closing!r} is missing", "the last")
    return message


def _value(token: str, line: int) -> Any:
    if token[:1] in ("'", '"'):
        return ast.literal_eval(token)
    if re.fullmatch(r"[+-]?\d+", token):
        return int(token)
    if re.fullmatch(r"[\w.+-]+", token):
        return {"true": True, "false": False}.get(token, token)
    raise _broken(f"{token!r} stands where a value should" if token else "a value is missing", line)


def _tokens(text: str) -> Iterator[tuple[str, int]]:
    place = 0
    while place < len(text):
        found, line = _TOKEN.match(text, place), text.count("\n", 0, place) + 1
        if found is None:
            raise _broken(f"{text[place]!r} does not belong there", line)
        if found["token"]:
            yield found["token"], line
        place = found.end()


def _broken(why: str, line: int | str) -> WrongUsage:
    return WrongUsage(
        f"Line {line} is not protobuf text: {why}.", "Fields are name: value, messages name { … }, strings are quoted."
    )
