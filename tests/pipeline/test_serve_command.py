"""A server in a process of its own: it says where it serves, explains itself when it does not, and ends."""

import os
import subprocess
import sys
import time

import pytest

from mlops_lab import serve
from mlops_lab.errors import LabError, ServerError
from mlops_lab.pipeline.serve_command import ServeCommand


def test_it_answers_and_ends(shared_models, monkeypatch):
    monkeypatch.setenv("MLOPS_LAB_API_KEY", "secret")  # a key is for the real server, not for this one
    process = ServeCommand(shared_models.root)
    try:
        assert serve.Client(process.url).info("digits")["version"] == "v1"
    finally:
        process.stop()
    assert not process.running
    process.stop()
    with pytest.raises(LabError):
        serve.Client(process.url).models()


@pytest.mark.skipif(os.name == "nt", reason="there is no SIGKILL")
def test_it_ends_with_a_program_that_is_killed(shared_models):
    start = "import sys, time; from mlops_lab.pipeline.serve_command import ServeCommand"
    code = f"{start}; print(ServeCommand(sys.argv[1]).url, flush=True); time.sleep(600)"
    program = [sys.executable, "-c", code, str(shared_models.root)]
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True) as parent:
        client = serve.Client(parent.stdout.readline().strip())
        assert client.info("digits")["version"] == "v1"
        parent.kill()
    deadline = time.monotonic() + 60
    with pytest.raises(LabError):
        while time.monotonic() < deadline:
            client.info("digits")
            time.sleep(0.05)


def test_a_folder_without_models_is_explained(tmp_path):
    with pytest.raises(ServerError, match="There are no models in"):
        ServeCommand(tmp_path)


def test_a_server_that_is_silent_is_given_up(shared_models):
    with pytest.raises(ServerError, match=r"did not start within 0.01 s"):
        ServeCommand(shared_models.root, seconds=0.01)
