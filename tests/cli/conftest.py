"""The command line, as it is run."""

import sys

import pytest

from mlops_lab import cli


@pytest.fixture
def lab(monkeypatch, capsys):
    """Run a command; return its exit status, what it printed, and what it said on standard error."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["mlops-lab", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
            sys.exit(0)
        out, err = capsys.readouterr()
        assert "Traceback" not in out + err
        return ended.value.code or 0, out, err

    return run
