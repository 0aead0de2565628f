"""The OpenAPI document of a server, made from the models that are loaded."""

from mlops_lab.serve.openapi.document import blueprint as blueprint
