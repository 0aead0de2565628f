"""Stage 1: data. Labelled images, on disk since the package was installed.

``load`` answers a :class:`Dataset` of two :class:`Split` s, ``train`` and ``test``.
"""

from mlops_lab.data.dataset import Dataset as Dataset
from mlops_lab.data.dataset import Split as Split
from mlops_lab.data.sources import load as load
