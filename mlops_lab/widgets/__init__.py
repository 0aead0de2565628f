"""Jupyter widgets for the stages of the course. They display the results of tested functions and hold no logic.

Only the controls of ipywidgets are used, and every click is handled in the kernel, which sends the HTTP requests. The
browser needs no access to the server's port, so the same cell works in JupyterLab, Notebook 7, VS Code, Colab and on a
hub.
"""

from mlops_lab.widgets.ask_form import ask
from mlops_lab.widgets.comparison import compare
from mlops_lab.widgets.confusion_matrix import confusion
from mlops_lab.widgets.drawing import draw
from mlops_lab.widgets.file_upload import upload
from mlops_lab.widgets.image_gallery import gallery
from mlops_lab.widgets.send_form import send
from mlops_lab.widgets.server_dashboard import dashboard
from mlops_lab.widgets.shift_dial import shift
from mlops_lab.widgets.training_curves import training

__all__ = ["ask", "compare", "confusion", "dashboard", "draw", "gallery", "send", "shift", "training", "upload"]


def __dir__() -> list[str]:
    return __all__
