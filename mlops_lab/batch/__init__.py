"""Batch prediction: any number of rows from a file or a folder into a file, resumable, in one process or several.

``batch.predict(partial(models.load, "clothes", 1), "images.npz", "answers.npz")``; on the command line
``mlops-lab predict --batch images.npz answers.npz``.
"""

from mlops_lab.batch.running import BatchReport as BatchReport
from mlops_lab.batch.running import predict as predict
