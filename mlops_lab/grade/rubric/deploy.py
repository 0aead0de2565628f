"""deploy-1 to deploy-6: from your machine to theirs."""

from mlops_lab.grade.rubric.deploy_cluster import exercise as cluster
from mlops_lab.grade.rubric.deploy_compose import exercise as compose
from mlops_lab.grade.rubric.deploy_image import exercise as image
from mlops_lab.grade.rubric.deploy_release import exercise as release
from mlops_lab.grade.rubric.deploy_serving import exercise as serving
from mlops_lab.grade.rubric.deploy_start import exercise as start

__all__ = ["cluster", "compose", "image", "release", "serving", "start"]
