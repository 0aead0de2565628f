"""Serve a model on a Ray cluster: replicas for each version that answers, and the server of mlops_lab before them.

Written by `mlops-lab deploy ray`; what it serves is in settings.json. Run it on the first machine of the cluster:
RAY_ADDRESS=auto python serve_on_ray.py. Without RAY_ADDRESS it starts Ray on this machine, and ends it again.
"""

import json
from pathlib import Path

from mlops_lab.deploy.ray_front import Replicas, serve_model

if __name__ == "__main__":
    settings = json.loads(Path(__file__).with_name("settings.json").read_text(encoding="utf-8"))
    serve_model(replicas=Replicas(**settings.pop("replicas")), **settings)
