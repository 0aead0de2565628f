"""Stage 4: serve. An inference server over the models of a store, and background servers for notebooks.

A request reads as four verbs (see ``rest/images.py``): find, decode, predict, encode.
"""

from mlops_lab.client import Client as Client
from mlops_lab.client import Predictions as Predictions
from mlops_lab.serve.app import create_app as create_app
from mlops_lab.serve.asgi import create_asgi as create_asgi
from mlops_lab.serve.background import RunningServer as RunningServer
from mlops_lab.serve.background import servers as servers
from mlops_lab.serve.background import start as start
from mlops_lab.serve.background import stop_all as stop_all
from mlops_lab.serve.chains.chain import Chain as Chain
from mlops_lab.serve.core.batching import Batching as Batching
from mlops_lab.serve.core.limits import Limits as Limits
from mlops_lab.serve.core.registry import Registry as Registry
