"""Speed in the hand: what a student waits for, from the import to the bars that a click moves.

    python benchmarks/hand.py [--clicks 200] [--browser]

The import is told beside an empty interpreter. The clicks go the whole way: the message that a browser sends → a real
kernel → HTTP → the model → the kernel → its last message back. ``--browser`` clicks in a real JupyterLab as well (it
needs Chromium and the extra ``browser``): from the click to the moment when the bars have changed on the page.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from queue import Empty

from jupyter_client.manager import start_new_kernel

ROOT = Path(__file__).parents[1]
SET_UP = f"""
import time
from mlops_lab import data, serve, widgets
dataset = data.load("fashion-mnist")
server = serve.start({str(ROOT / "models")!r})
sender = widgets.send(server, dataset, "clothes", "v1")
"""
GALLERY = """
def opened():
    started = time.perf_counter()
    gallery = widgets.gallery(dataset, count=100)
    gallery._repr_mimebundle_()
    return 1000 * (time.perf_counter() - started)
print(sorted(opened() for _ in range(20))[18])
"""
PICK = "sender.gallery.picked = {place}; print(sender.button.comm.comm_id)"
# Another image is picked a moment before, so that the bars change.
BARS = """async (place) => {
  document.querySelectorAll("button.widget-toggle-button")[place % 24].click();
  await new Promise((resolve) => setTimeout(resolve, 200));
  return new Promise((resolve) => {
    const started = performance.now();
    const result = document.querySelector(".lab-result");
    const watch = new MutationObserver(() => {
      watch.disconnect();
      requestAnimationFrame(() => resolve(performance.now() - started));
    });
    watch.observe(result, { childList: true, subtree: true, characterData: true });
    document.querySelector("button.lab-send").click();
  });
}"""
IMAGES = """() => new Promise((resolve) => {
  const started = performance.now();
  const shown = () => document.querySelectorAll("button.widget-toggle-button").length;
  const before = shown();
  const wait = () => {
    if (shown() >= before + 100) resolve(performance.now() - started);
    else requestAnimationFrame(wait);
  };
  window.jupyterapp.commands.execute("notebook:run-cell");
  wait();
})"""


def tell(what, milliseconds, limit):
    """Print the median and the 95th percentile beside what is asked for."""
    half, most = statistics.median(milliseconds), statistics.quantiles(milliseconds, n=20)[18]
    print(f"{what:44} p50 {half:7.1f} ms   p95 {most:7.1f} ms   asked: {limit}")


def timed(code):
    """Return the milliseconds of one new interpreter."""
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
    return 1000 * (time.perf_counter() - started)


def imports(rounds=15):
    """Compare an interpreter that imports the package with one that does not, in turn."""
    pairs = [(timed("pass"), timed("import mlops_lab")) for _ in range(rounds)]
    tell("import mlops_lab, above an empty interpreter", [more - less for less, more in pairs], "under 100 ms")


def printed(client, code):
    """Run code in the kernel and return what it prints."""
    lines = []

    def hear(message):
        if message["msg_type"] == "stream":
            lines.append(message["content"]["text"])
        if message["msg_type"] == "error":
            raise RuntimeError("\n".join(message["content"]["traceback"]))

    client.execute_interactive(code, timeout=120, output_hook=hear)
    return "".join(lines).strip()


def click(client, button):
    """Send what a browser sends for a click, and return the milliseconds until the kernel has answered it."""
    content = {"comm_id": button, "data": {"method": "custom", "content": {"event": "click"}}}
    message = client.session.msg("comm_msg", content)
    updates, started = 0, time.perf_counter()
    client.shell_channel.send(message)
    while True:
        try:
            heard = client.get_iopub_msg(timeout=10)
        except Empty:
            raise RuntimeError("the kernel did not answer a click") from None
        if heard["parent_header"].get("msg_id") != message["header"]["msg_id"]:
            continue
        updates += heard["msg_type"] == "comm_msg"
        if heard["msg_type"] == "status" and heard["content"]["execution_state"] == "idle":
            assert updates, "the click changed nothing"
            return 1000 * (time.perf_counter() - started)


def clicks(client, times):
    """Pick an image, click Send, and so on."""
    found = []
    for place in range(times + 1):
        button = printed(client, PICK.format(place=place))
        found.append(click(client, button))
    tell("a click on Send, to the kernel and back", found[1:], "p95 under 50 ms")  # the first asks for the labels


def in_browser(times):
    """Do the same from the page: until the bars have changed, and until a hundred images stand there."""
    sys.path.insert(0, str(ROOT / "tests" / "browser"))
    from conftest import CHROMIUM, FLAGS, LIGHT, Jupyter, notebooks, running
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS.split())
        jupyter = Jupyter("hand", "lab", LIGHT, Path(folder))
        with running(jupyter), notebooks(jupyter, browser) as open_:
            book = open_([SET_UP + "sender", "widgets.gallery(dataset, count=100)"])
            book.run_all()
            book.page.wait_for_selector("button.lab-send")
            found = [book.page.evaluate(BARS, place) for place in range(times + 1)][1:]
            tell("a click on Send, to the bars on the page", found, "")
            book.cell("widgets.gallery").locator(".jp-InputArea-editor").click()
            opened = []
            for _ in range(10):
                book.page.evaluate("() => window.jupyterapp.commands.execute('notebook:clear-cell-output')")
                opened.append(book.page.evaluate(IMAGES))
            tell("a gallery of 100, from the run to the page", opened, "under 300 ms")
        browser.close()


def main():
    """Measure, and tell each figure beside what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clicks", type=int, default=200)
    parser.add_argument("--browser", action="store_true", help="click in a real JupyterLab, too")
    options = parser.parse_args()
    imports()
    manager, client = start_new_kernel(kernel_name="python3")
    try:
        printed(client, SET_UP)
        clicks(client, options.clicks)
        print(f"{'a gallery of 100 images, in the kernel':44} p95 {float(printed(client, GALLERY)):7.1f} ms")
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    if options.browser:
        in_browser(options.clicks // 4)


if __name__ == "__main__":
    main()
