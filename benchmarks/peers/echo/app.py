"""A bare Flask echo: answers how many bytes it read, at `/` and under the paths of the lab's server."""

from flask import Flask, request

app = Flask("echo")
app.config["MAX_CONTENT_LENGTH"] = 2 * 1024 * 1024


@app.post("/")
@app.route("/models/<name>/v1", methods=["GET", "POST"])
def echo(name=""):
    """Say how much was read."""
    return {"n": len(request.get_data()), "name": name}
