import json
import shutil
import subprocess
import sys

import pytest

from mlops_lab.image import encode_png
from mlops_lab.widgets import snippets


@pytest.fixture
def address(server):
    return f"{server.url}/models/light/v2"


@pytest.mark.skipif(not (shutil.which("curl") and shutil.which("base64")), reason="needs a shell with curl")
def test_the_line_of_curl_runs(address, digits):
    line = snippets.as_curl(address, encode_png(digits.test.images[0]))
    done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["predictions"][0]["label"] == "9"


def test_the_python_runs(address, digits):
    code = snippets.as_requests(address, encode_png(digits.test.images[0]))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("200 {")
    assert "'label': '9'" in done.stdout
