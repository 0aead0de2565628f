"""The server of an application's image, run as the image runs it: alone, by its file."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import urllib.request

import pytest

from mlops_lab.deploy import docker, wsgi_server
from mlops_lab.serve.ports import bind

API = "from flask import Flask\napp = Flask(__name__)\n@app.get('/')\ndef hello():\n    return {'mine': True}\n"


@pytest.mark.skipif(os.name == "nt", reason="SIGTERM does not reach a handler there")
def test_it_serves_on_the_port_of_the_variable_and_ends_at_sigterm(tmp_path):
    (tmp_path / "api.py").write_text(API)
    shutil.copy(wsgi_server.__file__, tmp_path)
    with contextlib.closing(bind("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    environment = {**os.environ, "PORT": str(port), "PYTHONPATH": str(tmp_path)}
    process = subprocess.Popen([sys.executable, tmp_path / "wsgi_server.py", "api"], env=environment)
    try:
        assert docker.answers(f"http://127.0.0.1:{port}/", 20)
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5) as answer:
            assert answer.read() == b'{"mine":true}\n'
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait(20)
