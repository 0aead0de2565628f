"""The log: plain lines where nobody watches, and the same lines with a sign of life on a terminal."""

import io

from rich.console import Console

from mlops_lab.pipeline import StageOutcome
from mlops_lab.pipeline.reporter import ConsoleReporter, SilentReporter

OUTCOME = StageOutcome("load", "failed", 1.25, "p99 is 900.0 ms [bold]; " + "a long reason " * 20)


def printed(**settings):
    stream = io.StringIO()
    log = ConsoleReporter(Console(file=stream, width=80, **settings))
    with log.stage_started("load", "Let several clients ask"):
        pass
    log.stage_finished(OUTCOME)
    return stream.getvalue()


def test_plain_lines_where_nobody_watches():
    first, second, rest = printed().split("\n")
    assert first == "… load         Let several clients ask"
    assert second == str(OUTCOME)
    assert rest == ""


def test_colours_on_a_terminal():
    text = printed(force_terminal=True, color_system="standard")
    assert "\x1b[1;31m✗" in text
    assert "[bold]" in text


def test_silence(capsys):
    silent = SilentReporter()
    with silent.stage_started("load", "…"):
        silent.stage_finished(OUTCOME)
    assert capsys.readouterr() == ("", "")
