import sys

import pytest

from mlops_lab.deploy import commands
from mlops_lab.errors import MissingPackage


def test_a_command_is_said_before_it_runs(tmp_path):
    mark, said = tmp_path / "mark", []

    def say(line):
        assert not mark.exists()
        said.append(line)

    commands.run([sys.executable, "-c", "import sys; open(sys.argv[1], 'w')", str(mark)], say=say)
    assert mark.exists()
    assert said[0].endswith(f"'import sys; open(sys.argv[1], '\"'\"'w'\"'\"')' {mark}")


def test_no_shell_reads_the_words():
    assert commands.run([sys.executable, "-c", "import sys; print(sys.argv[1])", "$HOME; ls"]) == "$HOME; ls"


def test_it_is_printed_unless_told_otherwise(capsys):
    commands.run([sys.executable, "-c", ""])
    assert capsys.readouterr().err.startswith("$ ")


def test_a_failure_ends_with_what_was_said_last():
    with pytest.raises(commands.CommandFailed, match="status 3:\nno such thing"):
        commands.run([sys.executable, "-c", "import sys; sys.stderr.write('no such thing'); sys.exit(3)"])


def test_a_command_that_takes_too_long():
    with pytest.raises(commands.CommandFailed, match=r"within 0\.2 s"):
        commands.run([sys.executable, "-c", "import time; time.sleep(30)"], seconds=0.2)


@pytest.mark.parametrize("tool", ["docker", "kubectl", "something-else"])
def test_a_missing_tool_is_named_with_its_install_line(tool, monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(MissingPackage, match=tool) as caught:
        commands.run([tool, "--version"])
    assert "install" in caught.value.hint.lower()


@pytest.mark.parametrize(
    ("output", "hint"),
    [
        ("Cannot connect to the Docker daemon at unix:///var/run/docker.sock.", "Start Docker"),
        ("error during connect: this error may indicate that the docker daemon is not running", "Start Docker"),
        ("no space left on device", "Correct the cause"),
    ],
)
def test_a_docker_daemon_that_does_not_run_has_its_hint(output, hint):
    with pytest.raises(commands.CommandFailed) as caught:
        commands.run([sys.executable, "-c", "import sys; sys.exit(sys.argv[1])", output])
    assert caught.value.hint.startswith(hint)
