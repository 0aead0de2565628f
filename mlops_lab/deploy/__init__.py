"""Stage 6: deploy. The files that bring a model to other machines, rendered before anything is written or run.

``deploy.files(deploy.make_spec("models", "clothes"), "docker")`` answers ``{path: text}``.
"""

from mlops_lab.deploy.render import Files as Files
from mlops_lab.deploy.render import files as files
from mlops_lab.deploy.spec import Spec as Spec
from mlops_lab.deploy.spec import make_spec as make_spec
