"""JupyterLab and Notebook 7 on this machine, and a Chromium without a window to drive them."""

import contextlib
import io
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from PIL import Image

ROOT = Path(__file__).parents[2]
IMAGES = ROOT / "docs" / "images"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
FLAGS += " --disable-component-update --disable-sync"
SECONDS = 60
LIGHT, DARK = "JupyterLab Light", "JupyterLab Dark"


def pytest_collection_modifyitems(items):
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def settings(theme):
    return {
        "@jupyterlab/notebook-extension:tracker": {"windowingMode": "none"},
        "@jupyterlab/apputils-extension:notification": {
            "fetchNews": "false",
            "checkForUpdates": False,
            "doNotDisturbMode": True,
        },
        "@jupyterlab/apputils-extension:themes": {"theme": theme, "adaptive-theme": False},
        "@jupyterlab/docmanager-extension:plugin": {"autosave": False},
    }


class Jupyter:
    """A Jupyter server with settings and folders of its own."""

    def __init__(self, name, app, theme, place, disabled=()):
        self.name, self.app, self.port = name, app, free_port()
        self.folder = place / "home"
        environment = dict(os.environ)
        for name in (
            "JUPYTER_CONFIG_DIR",
            "JUPYTER_DATA_DIR",
            "JUPYTER_RUNTIME_DIR",
            "JUPYTERLAB_SETTINGS_DIR",
            "JUPYTERLAB_WORKSPACES_DIR",
            "IPYTHONDIR",
            "MPLCONFIGDIR",
        ):
            environment[name] = str(place / name.lower())
            Path(environment[name]).mkdir(parents=True)
        labconfig = place / "jupyter_config_dir" / "labconfig"
        labconfig.mkdir()
        (labconfig / "default_setting_overrides.json").write_text(json.dumps(settings(theme)))
        page = {"disabledExtensions": dict.fromkeys(disabled, True)}
        (labconfig / "page_config.json").write_text(json.dumps(page))
        (self.folder / "notebooks").mkdir(parents=True)
        (self.folder / "models").symlink_to(ROOT / "models")
        expose = "LabApp" if app == "lab" else "JupyterNotebookApp"
        self.log = (place / "log").open("wb")
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-m", "jupyterlab" if app == "lab" else "notebook"),
                *("--no-browser", "--allow-root", "--ServerApp.ip=127.0.0.1", f"--ServerApp.port={self.port}"),
                *("--ServerApp.port_retries=0", "--IdentityProvider.token=", f"--ServerApp.root_dir={self.folder}"),
                *("--LabApp.extension_manager=readonly", f"--{expose}.expose_app_in_browser=True"),
            ],
            env=environment,
            cwd=self.folder,
            stdout=self.log,
            stderr=subprocess.STDOUT,
        )

    def wait(self):
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/api/status", timeout=2):
                    return
            except OSError:
                time.sleep(0.2)
        raise AssertionError(f"Jupyter did not start: {Path(self.log.name).read_text()[-2000:]}")

    def address(self, name):
        tree = f"lab/workspaces/w{time.monotonic_ns()}/tree" if self.app == "lab" else "notebooks"
        end = "?reset" if self.app == "lab" else ""
        return f"http://127.0.0.1:{self.port}/{tree}/notebooks/{name}.ipynb{end}"

    def stop(self):
        self.process.terminate()
        self.process.wait(30)
        self.log.close()


@contextlib.contextmanager
def running(server):
    try:
        server.wait()
        yield server
    finally:
        server.stop()


PLACES = {"lab": ("lab", LIGHT), "lab-dark": ("lab", DARK), "notebook": ("notebook", LIGHT)}


@pytest.fixture(scope="session", params=PLACES)
def jupyter(request, tmp_path_factory):
    app, theme = PLACES[request.param]
    with running(Jupyter(request.param, app, theme, tmp_path_factory.mktemp(app))) as server:
        yield server


@pytest.fixture(scope="session")
def jupyter_over():
    """Return a function that runs one more JupyterLab, with settings and folders of its own below a place."""
    return lambda name, place: running(Jupyter(name, "lab", LIGHT, place))


@pytest.fixture(scope="session")
def chromium():
    sync_api = pytest.importorskip("playwright.sync_api")
    if CHROMIUM is None:
        pytest.skip("there is no Chromium: apt-get install chromium")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS.split())
        yield browser
        browser.close()


def keep(png, name):
    """Keep an image for the docs, in a third of its bytes."""
    shot = Image.open(io.BytesIO(png)).convert("RGB")
    shot.quantize(128).save(IMAGES / f"{name}.png", optimize=True)


@pytest.fixture
def kept():
    return keep


class Notebook:
    """A notebook that is open in the browser."""

    def __init__(self, page, jupyter, cells):
        self.page, self.place = page, jupyter.name
        name = f"n{time.monotonic_ns()}"
        import nbformat

        path = jupyter.folder / "notebooks" / f"{name}.ipynb"
        nbformat.write(cells, path)
        page.goto(jupyter.address(name))
        # The indicator says idle while there is no kernel yet, so wait for the kernel's name first.
        page.wait_for_function(
            "() => { const k = document.querySelector('.jp-Toolbar-kernelName');"
            " return k && k.textContent.includes('Python'); }"
        )
        page.wait_for_function(
            "() => { const s = window.jupyterapp?.shell?.currentWidget?.sessionContext;"
            " return s && s.isReady && s.session?.kernel?.status === 'idle'; }"
        )
        page.wait_for_selector(".jp-Notebook-ExecutionIndicator[data-status='idle']")

    def run_all(self):
        self.page.evaluate("() => window.jupyterapp.commands.execute('notebook:run-all-cells')")

    def run_cell(self, text):
        """Run the code cell whose source holds a text, once more."""
        cell = self.page.locator(".jp-CodeCell", has_text=text).first
        cell.locator(".jp-InputArea-editor").click()
        self.page.evaluate("() => window.jupyterapp.commands.execute('notebook:run-cell')")
        return cell

    def cell(self, text):
        return self.page.locator(".jp-CodeCell", has_text=text).first

    def image(self, target, name, places=("lab",)):
        """Keep an image for the docs, from the places where it is worth one."""
        if self.place in places:
            target.scroll_into_view_if_needed()
            keep(target.screenshot(), f"{name}-{self.place}")


@contextlib.contextmanager
def notebooks(jupyter, chromium):
    """Yield a function that opens cells (a list of sources, or a notebook) in the browser."""
    import nbformat

    context = chromium.new_context(viewport={"width": 1280, "height": 1400}, device_scale_factor=1)
    page = context.new_page()
    page.set_default_timeout(SECONDS * 1000)

    def open_(source):
        if isinstance(source, nbformat.NotebookNode):
            return Notebook(page, jupyter, source)
        kernel = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
        cells = [nbformat.v4.new_code_cell(text) for text in source]
        return Notebook(page, jupyter, nbformat.v4.new_notebook(cells=cells, metadata=kernel))

    yield open_
    # Ending the session ends the kernel, and with it every server behind it.
    page.evaluate("() => window.jupyterapp?.shell?.currentWidget?.sessionContext?.shutdown()")
    context.close()


@pytest.fixture
def notebooks_in(chromium):
    """Return a function that opens notebooks in a Jupyter server of a test's own."""
    return lambda jupyter: notebooks(jupyter, chromium)


@pytest.fixture
def opened(jupyter, chromium):
    with notebooks(jupyter, chromium) as open_:
        yield open_


@pytest.fixture
def opened_without_anywidget(chromium, tmp_path_factory):
    """The same in a JupyterLab that lacks anywidget's front end, as where only the kernel has the package."""
    place = tmp_path_factory.mktemp("bare")
    bare = Jupyter("bare", "lab", LIGHT, place, disabled=("anywidget",))
    with running(bare), notebooks(bare, chromium) as open_:
        yield open_


@pytest.fixture
def opened_page(chromium):
    """Return a function that opens an address; nothing may go wrong in the console or come from elsewhere."""
    contexts, wrong = [], []

    def open_(url, allowed=(), **options):
        context = chromium.new_context(**{"viewport": {"width": 1100, "height": 800}, **options})
        contexts.append(context)
        origin = "/".join(url.split("/")[:3])
        page = context.new_page()
        page.set_default_timeout(30_000)
        # A refused request is told in the console as well; the tests that provoke one allow for it.
        page.on("console", lambda m: any(word in m.text for word in allowed) or wrong.append(m.text))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("request", lambda r: r.url.startswith((origin, "blob:")) or wrong.append(r.url))
        page.goto(url)
        return page

    yield open_
    for context in contexts:
        context.close()
    assert wrong == []
