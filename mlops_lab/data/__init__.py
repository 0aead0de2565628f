"""Stage 1: data. Labelled images, on disk since the package was installed.

``load`` answers a :class:`Dataset` of two :class:`Split` s, ``train`` and ``test``; ``check`` says what is wrong with
one, or with a folder of your own images.
"""

from mlops_lab.data.checks import check
from mlops_lab.data.dataset import Dataset, Split
from mlops_lab.data.people import Admissions, load_admissions
from mlops_lab.data.quality_report import DataFinding, DataReport
from mlops_lab.data.sources import load

__all__ = ["Admissions", "DataFinding", "DataReport", "Dataset", "Split", "check", "load", "load_admissions"]
