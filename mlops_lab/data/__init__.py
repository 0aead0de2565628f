"""Stage 1: data. Labelled images, on disk since the package was installed.

``load`` answers a :class:`Dataset` of two :class:`Split` s, ``train`` and ``test``. ``fill_keras_cache()`` lets
``keras.datasets.fashion_mnist.load_data()`` work offline too.
"""

from mlops_lab.data.dataset import Dataset as Dataset
from mlops_lab.data.dataset import Split as Split
from mlops_lab.data.keras_cache import fill_keras_cache as fill_keras_cache
from mlops_lab.data.sources import load as load
