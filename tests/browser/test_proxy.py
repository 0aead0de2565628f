"""A server's pages as JupyterHub and Binder show them: behind a prefix, through a real jupyter-server-proxy."""

from pathlib import Path

import pytest
from jupyter_servers import JupyterServer

ROOT = Path(__file__).parents[2]
PREFIX = "/user/ada/"
START = f"""
from mlops_lab import serve
server = serve.start({str(ROOT / "models")!r})
print(server.public_url)
"""


@pytest.fixture(scope="module")
def start_hub(tmp_path_factory):
    """Return a function that starts a Jupyter server as a hub does: under a prefix, with the variable that names it."""
    started = []

    def start(*options):
        server = JupyterServer(
            tmp_path_factory.mktemp("hub"), f"--ServerApp.base_url={PREFIX}", *options, JUPYTERHUB_SERVICE_PREFIX=PREFIX
        )
        started.append(server)
        server.wait(PREFIX)
        return server

    yield start
    for server in started:
        server.stop()


@pytest.fixture(scope="module")
def hub(start_hub):
    return start_hub()


@pytest.fixture(scope="module")
def public_url(hub):
    return hub.run(START)


@pytest.fixture
def page(chromium, hub, public_url):
    """Open the server's page at its public address; everything has to come from behind the prefix."""
    wrong = []
    context = chromium.new_context(viewport={"width": 1100, "height": 800})
    page = context.new_page()
    page.set_default_timeout(30_000)
    page.on("console", lambda message: wrong.append(message.text))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    start = f"{hub.url}{public_url}"
    page.on("request", lambda request: request.url.startswith((start, "blob:")) or wrong.append(request.url))
    page.goto(start)
    yield page
    context.close()
    assert wrong == []


def test_the_address_is_behind_the_hubs_prefix(public_url):
    assert public_url.startswith(f"{PREFIX}proxy/") and public_url.endswith("/")


def test_the_page_draws_and_answers_through_the_proxy(page, tmp_path):
    page.get_by_role("button", name="Sample: Ankle boot").click()
    page.get_by_role("status").get_by_text("Ankle boot").wait_for()
    assert f"{PREFIX}proxy/" in page.locator("#curl").inner_text()
    box = page.locator("#canvas").bounding_box()
    page.get_by_role("button", name="Clear").click()
    page.mouse.move(box["x"] + 140, box["y"] + 60)
    page.mouse.down()
    page.mouse.move(box["x"] + 140, box["y"] + 220, steps=12)
    page.mouse.up()
    page.get_by_role("status").get_by_text("%").wait_for()


def test_the_docs_send_requests_through_the_proxy(page):
    page.get_by_role("link", name="API").click()
    route = page.locator("details.route", has_text="/models").first
    route.locator("summary").first.click()
    route.get_by_role("button", name="Send").first.click()
    route.get_by_text("200 OK").first.wait_for()
    page.get_by_role("link", name="Draw").click()
    page.get_by_role("heading", name="What does the model say?").wait_for()


def test_a_hub_without_the_proxy_says_what_is_missing(start_hub):
    bare = start_hub("--ServerApp.jpserver_extensions={'jupyter_server_proxy': False}")
    said = bare.run(f"{START}\nprint(server.public_url_details)").splitlines()
    assert said[0] == "None"
    assert said[1].startswith("JupyterHub: no address. It needs jupyter-server-proxy installed where Jupyter runs")
