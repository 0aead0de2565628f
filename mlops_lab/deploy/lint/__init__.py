"""A linter for Kubernetes files: it finds what would fail on a cluster, before there is a cluster.

A schema checks whether a field exists. It does not check whether a Service selects a pod, whether a node can be
drained, or whether a pod is killed while it answers. These rules do::

    lint.check(files)                # {path: text}, as deploy.files returns them
    lint.check(lint.texts("k8s"))    # or the files of a folder

Each rule is one small function. The rules about a single pod are in ``pods`` (probes, resources, termination) and
``security`` (privileges). The rules about how objects fit each other are in ``names`` (references), ``traffic`` (the
path of a request) and ``scale`` (the number of pods). ``reading`` parses files into ``manifests``; ``report`` holds the
result.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from mlops_lab.deploy.lint import names, pods, scale, security, traffic
from mlops_lab.deploy.lint.manifests import Manifests
from mlops_lab.deploy.lint.reading import read, texts
from mlops_lab.deploy.lint.report import LintReport
from mlops_lab.findings import Finding

__all__ = ["Finding", "LintReport", "check", "rules", "texts"]

POD_RULES = (*pods.RULES, *security.RULES)
OBJECT_RULES = (*names.RULES, *traffic.RULES, *scale.RULES)


def check(files: Mapping[str, str]) -> LintReport:
    """Check Kubernetes files with every rule.

    Files of kustomize are checked as they are written: a kustomization is followed only to the files that it names,
    and patches are not applied. To check an overlay, pass the output of ``kubectl kustomize``.

    Parameters
    ----------
    files
        The texts by path. Files that do not end in ``.yaml`` or ``.yml`` are ignored.

    Raises
    ------
    MissingPackage
        PyYAML is not installed.

    Examples
    --------
    >>> service = "{apiVersion: v1, kind: Service, metadata: {name: clothes}, spec: {selector: {app: cloths}}}"
    >>> print(check({"service.yaml": service}))
    failed   service.yaml: Service clothes: service-selects-nothing: No pod has the labels app=cloths. → Pods have: (there are no pods).
    1 problem in 1 Kubernetes object
    """  # noqa: E501 - a finding is one line
    manifests = read(files)
    order = list(files)
    found = sorted(_findings(manifests), key=lambda finding: order.index(finding.place.partition(": ")[0]))
    return LintReport(tuple(found), len(manifests.objects))


def rules() -> dict[str, str]:
    """Return the code of every rule with its reason.

    Examples
    --------
    >>> rules()["pdb-selects-nothing"]
    'A PodDisruptionBudget protects nothing if no pod has its labels.'
    """
    return {_code(rule): str(rule.__doc__) for rule in (*POD_RULES, *OBJECT_RULES)}


def _findings(manifests: Manifests) -> Iterator[Finding]:
    for pod_rule in POD_RULES:
        for pod in manifests.pods:
            for message, hint in pod_rule(pod):
                yield Finding(False, message, hint, _code(pod_rule), pod.owner.where)
    for object_rule in OBJECT_RULES:
        for item, message, hint in object_rule(manifests):
            yield Finding(False, message, hint, _code(object_rule), item.where)


def _code(rule: object) -> str:
    return str(getattr(rule, "__name__", "")).replace("_", "-")
