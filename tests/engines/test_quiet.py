import os
import subprocess
import sys

import pytest

from mlops_lab.engines.quiet import _silent_stderr, import_keras
from mlops_lab.errors import MissingPackage


def test_without_tensorflow_the_install_line_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    monkeypatch.delitem(sys.modules, "keras", raising=False)
    with pytest.raises(MissingPackage, match="pip install tensorflow"):
        import_keras()


def test_the_descriptor_is_silent_and_then_itself_again(capfd):
    with _silent_stderr():
        os.write(2, b"greeting\n")
    os.write(2, b"after\n")
    assert capfd.readouterr().err == "after\n"


def test_what_was_written_is_shown_when_the_import_fails(capfd):
    with pytest.raises(RuntimeError), _silent_stderr():
        os.write(2, b"the reason\n")
        raise RuntimeError
    assert capfd.readouterr().err == "the reason\n"


def test_a_process_without_standard_error(monkeypatch):
    def closed(descriptor):
        raise OSError

    monkeypatch.setattr(os, "dup", closed)
    with _silent_stderr():
        pass


@pytest.mark.tensorflow
def test_importing_keras_writes_nothing():
    code = "from mlops_lab.engines.quiet import import_keras; print(import_keras().backend.backend())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "tensorflow\n", "")


@pytest.mark.tensorflow
def test_a_level_that_the_user_set_is_left_alone():
    code = "import os; from mlops_lab.engines.quiet import import_keras; import_keras(); print(os.environ[{0!r}])"
    name = "TF_CPP_MIN_LOG_LEVEL"
    done = subprocess.run(
        [sys.executable, "-c", code.format(name)], env={**os.environ, name: "1"}, capture_output=True, text=True
    )
    assert done.stdout == "1\n"
