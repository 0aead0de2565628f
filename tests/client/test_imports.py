"""The client runs where there is no server: it imports nothing of `serve`."""

import subprocess
import sys

CODE = """
import sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        assert name.split(".")[0] not in ("flask", "waitress", "prometheus_client") and name != "mlops_lab.serve", name

sys.meta_path.insert(0, Blocked())
from mlops_lab.client import Client
Client("http://127.0.0.1:9", models="models")
print(len([name for name in sys.modules if name.startswith("mlops_lab")]))
"""


def test_the_client_loads_few_modules_and_no_server():
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    assert int(done.stdout) <= 25


def test_the_tensorflow_serving_backend_needs_no_server_either():
    code = CODE + "from mlops_lab.client.backends import TensorFlowServing\nTensorFlowServing(None, 'models')\n"
    subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
