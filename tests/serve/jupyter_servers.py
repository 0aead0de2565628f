"""A real Jupyter server without a window, and kernels of it, for whoever asks where a notebook runs."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path


class JupyterServer:
    """A Jupyter server with folders of its own, open to this machine, without a log-in."""

    def __init__(self, place, *options, python=sys.executable, **environment):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.url, self.prefix, self.place = f"http://127.0.0.1:{port}", "/", place
        for name in ("CONFIG", "DATA", "RUNTIME"):
            environment[f"JUPYTER_{name}_DIR"] = str(place / name.lower())
            (place / name.lower()).mkdir(exist_ok=True)
        self.log = (place / "log").open("wb")
        self.process = subprocess.Popen(
            [
                *(str(python), "-m", "jupyter_server", "--no-browser", "--allow-root", "--ServerApp.ip=127.0.0.1"),
                *(f"--ServerApp.port={port}", "--ServerApp.port_retries=0", "--IdentityProvider.token="),
                *(f"--ServerApp.root_dir={place}", "--ServerApp.disable_check_xsrf=True", *options),
            ],
            env={**os.environ, **environment},
            stdout=self.log,
            stderr=subprocess.STDOUT,
        )

    def ask(self, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(f"{self.url}{self.prefix}{path}", data, timeout=10) as answer:
            return json.load(answer)

    def wait(self, prefix="/"):
        self.prefix, deadline = prefix, time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                return self.ask("api/status")
            except OSError:
                time.sleep(0.2)
        raise AssertionError(Path(self.log.name).read_text()[-2000:])

    def run(self, code, kernel="python3"):
        """Run code in a new kernel of the server; return what it prints."""
        from jupyter_client import BlockingKernelClient

        number = self.ask("api/kernels", {"name": kernel})["id"]
        client = BlockingKernelClient(connection_file=str(self.place / "runtime" / f"kernel-{number}.json"))
        client.load_connection_file()
        client.start_channels()
        printed = []
        try:
            client.wait_for_ready(60)
            client.execute_interactive(code, timeout=60, output_hook=lambda message: printed.append(message["content"]))
        finally:
            client.stop_channels()
        return "".join(item.get("text", "") for item in printed).strip()

    def stop(self):
        self.process.terminate()  # it ends its kernels
        self.process.wait(30)
        self.log.close()
