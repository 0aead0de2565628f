# %% [markdown]
# # Stage 6: deploy
#
# Your server answers on your own machine. **Deployment** brings it to where others use it, and replaces it there when you
# have something better, without anybody noticing. Both are done so often that no step may depend on somebody's memory,
# so both are automated.
#
# You will
#
# 1. let the lab write the files of a deployment, read them, and have them checked,
# 2. examine a running server: does it keep its contract, does it do its job, does it bear the load?
# 3. release a new version in one command, which does all of that before anybody is sent to the new version,
# 4. try to release three bad versions, and see each of them refused while production goes on answering.
#
# Run the cells from top to bottom with **Shift + Enter**. It takes about ten minutes, needs no Docker, and no network.

# %% [markdown]
# ## 1. A models folder to play with
#
# We copy the trained model of the handwritten digits into a folder of our own, so that nothing we break matters.

# %%
import shutil
import tempfile
from pathlib import Path

from mlops_lab import data, deploy, pipeline, serve, store, train, validate

shipped = Path("models") if Path("models").is_dir() else Path("../models")
folder = Path(tempfile.mkdtemp()) / "models"
shutil.copytree(shipped / "digits", folder / "digits")
models = store.ModelStore(folder)
models

# %% [markdown]
# ## 2. Files first
#
# A deployment is described by files: a `Dockerfile` says how an image is built, Kubernetes has a dozen more. The lab fills
# them in for your model and *shows* them; nothing is written or run yet. Click on a name below to read the file.

# %%
spec = deploy.make_spec(models.root, "digits", "production")
files = deploy.files(spec, "docker")
files

# %% [markdown]
# > **Look for these in the `Dockerfile`.** There are two `FROM` lines: why two? Which user does the server run as? What
# > asks whether it is healthy? Each has a comment that says why.
#
# `files` is a mapping from path to text, so you can work with it like with any dictionary.

# %%
for line in files["Dockerfile"].splitlines():
    if line.startswith(("FROM", "USER", "ENTRYPOINT")):
        print(line)

# %% [markdown]
# ## 3. Have them checked before there is a cluster
#
# Files can be valid and still not work: a Service may look for labels that no pod has. The linter knows 45 such mistakes.

# %%
from mlops_lab.deploy import lint

kubernetes = deploy.files(spec, "kubernetes")
lint.check(kubernetes)

# %% [markdown]
# Now we make one, as one does with a careless edit.
#
# > **Predict, then run.** Below, the Service looks for another label. What will happen to the requests?

# %%
edited = dict(kubernetes)
service = edited["base/service.yaml"]
edited["base/service.yaml"] = service.replace("app.kubernetes.io/name: digits", "app.kubernetes.io/name: digit")
lint.check(edited)

# %% [markdown]
# ## 4. Production
#
# On a laptop, production is a server that runs and must go on answering. It watches the models folder: whoever asks for
# `/models/digits/production` gets the version that the name `production` points at.

# %%
production = serve.start(models, name="production")
client = serve.Client(production)

digits = data.load("digits")
client.classify("digits", "production", digits.test.images[0])

# %% [markdown]
# ## 5. Examine it
#
# Three kinds of test ask a *running* server, by its address. It may be ours, TensorFlow Serving, or your own `api.py`.
#
# *Integration tests*: does the server keep the contract that its clients were written against? Every route, every form of
# a body, every error, and the *golden examples*: pictures whose answers were noted when the version was published.

# %%
version = models.get("digits", "production")
validate.check_contract(production.url, version)

# %% [markdown]
# *Acceptance tests*: does it do its job? All test pictures are sent over HTTP. The accuracy has to be the one that the
# training reported; what else we ask for is said by `Expected`: at least 90 %, and a second at most for a picture.

# %%
expected = validate.Expected(accuracy=0.9, max_accuracy_drop=0.02, milliseconds=1000)
validate.check_acceptance(production.url, version, expected)

# %% [markdown]
# *Load tests*: several clients ask at the same time. Does anything fail, and how long do they wait? `p99` is the time
# within which 99 of 100 requests were answered; the average would hide the slow ones.
#
# > **Predict, then run.** With eight clients instead of two, will each wait longer? Will there be more answers a second?

# %%
pictures = digits.test.images[:16]
for clients in (2, 8):
    print(validate.measure_load(client, "digits", "production", pictures, validate.LoadTestConfig(clients, seconds=1)))

# %% [markdown]
# ## 6. A better version
#
# We train again with another seed, and publish it as version 2. The name `production` still points at version 1.

# %%
run = train.fit_sklearn(digits, seed=7)
models.publish(run, "digits", description="Trained with another seed")
models

# %% [markdown]
# ## 7. Release it
#
# One command does the rest. It starts the new version where nobody sees it (*staging*), examines it there, and only then
# moves the name. If anything is wrong, it puts everything back. On the command line it is `mlops-lab pipeline run digits`.
#
# We expect what we expected above, allow the new version to be a little less accurate than the old one (`worse`), and
# ask for a short load test.

# %%
plan = pipeline.ReleasePlan(
    models.root, "digits", 2, url=production.url, why="another seed", expected=expected,
    load=validate.LoadTestConfig(clients=2, seconds=1, milliseconds=2000),
)  # fmt: skip
release = pipeline.release(plan, pipeline.ConsoleReporter())

# %% [markdown]
# The result draws itself, and it is kept beside the version, so that in a year you can still say why it is there.

# %%
release

# %%
for entry in models.history("digits")[-2:]:
    print(entry["time"], entry["event"], entry.get("state", ""), entry.get("why", ""))

# %% [markdown]
# ## 8. Three versions that must not come through
#
# *One*: somebody trained on sixty pictures only, and did not look.

# %%
from dataclasses import replace

models.publish(train.fit_sklearn(digits.limited(60)), "digits", description="Trained in a hurry")
hurried = pipeline.release(replace(plan, version=3), pipeline.ConsoleReporter())
print(hurried.summary)

# %% [markdown]
# > **Question.** Which stage noticed it, and what would have happened without that stage?
#
# *Two*: the good model again, but a file was damaged on its way. We break it on purpose.

# %%
models.publish(run, "digits")
broken = folder / "digits" / "4" / "model.onnx"
broken.write_bytes(broken.read_bytes()[:1000])
damaged = pipeline.release(replace(plan, version=4), pipeline.ConsoleReporter())
print(damaged.summary)

# %% [markdown]
# *Three*: a version that is right, and too slow for what we promised. We promise that 99 of 100 requests are answered
# within a hundredth of a millisecond, which no server keeps.

# %%
models.publish(run, "digits")
impatient = replace(plan.load, milliseconds=0.01)
slow = pipeline.release(replace(plan, version=5, load=impatient), pipeline.ConsoleReporter())
print(slow.summary)

# %% [markdown]
# And production, all the while?

# %%
answers = [seen for seen in production.requests if seen.path.endswith("/production")]
print(f"{len(answers)} requests, of which {sum(seen.status >= 500 for seen in answers)} failed at the server")
print("production is", client.info("digits", "production")["version"])

# %% [markdown]
# > **Exercise.** Point the name back by hand, `models.rollback("digits")`, and ask production again a second later. Then
# > release version 2 once more.

# %% [markdown]
# ## 9. On GitHub
#
# The same command runs on another machine whenever somebody pushes a new version. For GitHub Actions that is a file like
# this one; look for the line with `mlops-lab pipeline run`. Here it is only shown.

# %%
workflow = deploy.files(deploy.make_spec(shipped, "digits"), "github")
text = workflow[".github/workflows/release.yaml"]
print(text[text.index("      - name: Build, stage") : text.index("      - name: Show")])

# %% [markdown]
# ## 10. Stop

# %%
production.stop()
shutil.rmtree(folder.parent)

# %% [markdown]
# ## What you have seen
#
# * A deployment is files, and files can be read and checked before anything runs.
# * A version is examined where it runs, over HTTP, because that is what its users see.
# * The name `production` moves only after everything was found good, and moves back when something is not.
# * What was decided, by whom and why, is kept beside the version.
#
# **Next:** the same with containers: `mlops-lab deploy docker digits --run`, and `docs/deploy.md`.
