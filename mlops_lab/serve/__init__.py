"""Stage 4: serve. An inference server over the models of a store, with the client re-exported.

A request reads as four verbs (see ``protocols/course.py``): decode, find, predict, encode.
"""

from mlops_lab.client import Client as Client
from mlops_lab.client import Predictions as Predictions
from mlops_lab.serve.app import create_app as create_app
from mlops_lab.serve.background import RunningServer as RunningServer
from mlops_lab.serve.background import servers as servers
from mlops_lab.serve.background import start as start
from mlops_lab.serve.background import stop_all as stop_all
from mlops_lab.serve.batching import Batching as Batching
from mlops_lab.serve.chains.chain import Chain as Chain
from mlops_lab.serve.limits import Limits as Limits
from mlops_lab.serve.registry import Registry as Registry
