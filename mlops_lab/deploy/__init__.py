"""Stage 6: deploy. Render the files that run a model on other machines, before anything is written or started.

``deploy.files(deploy.make_spec("models", "clothes"), "docker")`` returns ``{path: text}``. Each kind of deployment is
a module: ``docker``, ``compose``, ``kubernetes``, ``tfserving``, ``ray`` and ``github``; ``ray_front`` is the server in
front of Ray. ``lint`` checks Kubernetes files, ``layout`` a folder for TensorFlow Serving, ``warmup`` writes its
warm-up requests, and ``smoke`` tests a deployment.
"""

from mlops_lab.deploy import compose, docker, github, kubernetes, layout, lint, ray, smoke, tfserving, warmup
from mlops_lab.deploy.render import Files, files
from mlops_lab.deploy.spec import Spec, make_spec

__all__ = [
    "Files",
    "Spec",
    "compose",
    "docker",
    "files",
    "github",
    "kubernetes",
    "layout",
    "lint",
    "make_spec",
    "ray",
    "smoke",
    "tfserving",
    "warmup",
]
