"""Servers behind a notebook's kernel. Running the cell again replaces one: old code never goes on answering."""

from mlops_lab.serve.background.noted import GENERATION_HEADER as GENERATION_HEADER
from mlops_lab.serve.background.noted import Exchange as Exchange
from mlops_lab.serve.background.running import RunningServer as RunningServer
from mlops_lab.serve.background.starting import servers as servers
from mlops_lab.serve.background.starting import start as start
from mlops_lab.serve.background.starting import stop_all as stop_all
