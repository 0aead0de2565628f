"""Servers behind a notebook's kernel. Running the cell again replaces one: old code never goes on answering."""

from mlops_lab.serve.background.manager import servers as servers
from mlops_lab.serve.background.manager import start as start
from mlops_lab.serve.background.manager import stop_all as stop_all
from mlops_lab.serve.background.recorder import GENERATION_HEADER as GENERATION_HEADER
from mlops_lab.serve.background.recorder import RecordedRequest as RecordedRequest
from mlops_lab.serve.background.server import RunningServer as RunningServer
