"""store-1 to store-6: what is saved, and what can go wrong."""

from mlops_lab.grade.rubric.store_counts import exercise as counts
from mlops_lab.grade.rubric.store_loads import exercise as loads
from mlops_lab.grade.rubric.store_pickles import exercise as pickles
from mlops_lab.grade.rubric.store_publish import exercise as publish
from mlops_lab.grade.rubric.store_saving import loading, saving

__all__ = ["counts", "loading", "loads", "pickles", "publish", "saving"]
