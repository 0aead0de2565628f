"""Stage 1: data. Labelled images, on disk since the package was installed.

``load`` answers a :class:`Dataset` of two :class:`Split` s, ``train`` and ``test``; ``check`` reports the problems of
one, or of a folder of your own images. ``fill_keras_cache()`` lets ``keras.datasets.fashion_mnist.load_data()`` work
offline too.
"""

from mlops_lab.data.checks import check
from mlops_lab.data.dataset import Dataset, Split
from mlops_lab.data.keras_cache import fill_keras_cache
from mlops_lab.data.people import Admissions, load_admissions
from mlops_lab.data.quality_report import DataFinding, DataReport
from mlops_lab.data.sources import load

__all__ = [
    "Admissions",
    "DataFinding",
    "DataReport",
    "Dataset",
    "Split",
    "check",
    "fill_keras_cache",
    "load",
    "load_admissions",
]


def __dir__() -> list[str]:
    return __all__
