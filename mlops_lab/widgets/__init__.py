"""Faces for the stages, in a notebook: each draws what a tested function answers, and holds no logic of its own.

Only ipywidgets' own widgets are used, and every click is answered in the kernel, which asks the server over HTTP. So
the browser never needs a way to the server's port, and the same cell works in JupyterLab, Notebook 7, VS Code, Colab
and on a hub.
"""

from mlops_lab.widgets.comparing import compare as compare
from mlops_lab.widgets.confusing import confusion as confusion
from mlops_lab.widgets.drawing import draw as draw
from mlops_lab.widgets.fitting import training as training
from mlops_lab.widgets.picking import gallery as gallery
from mlops_lab.widgets.sending import send as send
from mlops_lab.widgets.shifting import shift as shift
from mlops_lab.widgets.uploading import upload as upload
from mlops_lab.widgets.watching import dashboard as dashboard
