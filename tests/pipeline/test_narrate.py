"""The log: plain lines where nobody watches, and the same lines with a sign of life on a terminal."""

import io

from rich.console import Console

from mlops_lab.pipeline import Outcome
from mlops_lab.pipeline.narrate import Log, Silence

OUTCOME = Outcome("load", "failed", 1.25, "p99 is 900.0 ms [bold]; " + "a long reason " * 20)


def told(**settings):
    stream = io.StringIO()
    log = Log(Console(file=stream, width=80, **settings))
    with log.during("load", "Let several clients ask"):
        pass
    log.after(OUTCOME)
    return stream.getvalue()


def test_plain_lines_where_nobody_watches():
    first, second, rest = told().split("\n")
    assert first == "… load         Let several clients ask"
    assert second == str(OUTCOME)
    assert rest == ""


def test_colours_on_a_terminal():
    text = told(force_terminal=True, color_system="standard")
    assert "\x1b[1;31m✗" in text
    assert "[bold]" in text


def test_silence(capsys):
    silent = Silence()
    with silent.during("load", "…"):
        silent.after(OUTCOME)
    assert capsys.readouterr() == ("", "")
