"""Find in Kubernetes files what would go wrong on a cluster, before there is one.

The schema says whether a field exists; it does not say whether a Service finds a pod, whether a node can be drained or
whether a pod is killed while it answers. These rules do::

    lint.check(files)                # {path: text}, as deploy.files returns them
    lint.check(lint.texts("k8s"))    # or what is in a folder by now

Each rule is one small function. About a single pod: ``pods`` (is it well, what may it use, how does it end) and
``security`` (what may it do). About what objects say of each other: ``names`` (is it there), ``traffic`` (does a
request arrive) and ``scale`` (how many are there). ``reading`` turns files into ``manifests``; ``findings`` holds the
answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from mlops_lab.deploy.lint import names, pods, scale, security, traffic
from mlops_lab.deploy.lint.findings import Finding, Findings
from mlops_lab.deploy.lint.manifests import Manifests
from mlops_lab.deploy.lint.reading import read, texts

__all__ = ["Finding", "Findings", "check", "rules", "texts"]

OF_A_POD = (*pods.RULES, *security.RULES)
OF_ALL = (*names.RULES, *traffic.RULES, *scale.RULES)


def check(files: Mapping[str, str]) -> Findings:
    """Return what is wrong with Kubernetes files.

    Files of kustomize are looked at as they are written: kustomizations are followed no further than the files that
    they name, and patches are not applied. To judge what an overlay becomes, give what ``kubectl kustomize`` prints.

    Parameters
    ----------
    files
        Texts by path. What does not end in ``.yaml`` or ``.yml`` is not read.

    Raises
    ------
    MissingPackage
        PyYAML is not installed.

    Examples
    --------
    >>> service = "{apiVersion: v1, kind: Service, metadata: {name: clothes}, spec: {selector: {app: cloths}}}"
    >>> print(check({"service.yaml": service}))
    service.yaml: Service clothes: No pod has the labels app=cloths. Pods have: (there are no pods). [service-selects-nothing]
    one thing to mend in 1 Kubernetes object
    """  # noqa: E501 - a finding is one line
    manifests = read(files)
    found = sorted(_found(manifests), key=lambda finding: list(files).index(finding.where.partition(": ")[0]))
    return Findings(tuple(found), len(manifests.objects))


def rules() -> dict[str, str]:
    """Return every rule and its reason.

    Examples
    --------
    >>> rules()["latest-tag"]
    'Without a tag of its own an image is another one tomorrow, and there is nothing to roll back to.'
    """
    return {_word(rule): str(rule.__doc__) for rule in (*OF_A_POD, *OF_ALL)}


def _found(manifests: Manifests) -> Iterator[Finding]:
    for about_pod in OF_A_POD:
        for pod in manifests.pods:
            for says, remedy in about_pod(pod):
                yield Finding(_word(about_pod), pod.owner.where, says, remedy)
    for about_all in OF_ALL:
        for item, says, remedy in about_all(manifests):
            yield Finding(_word(about_all), item.where, says, remedy)


def _word(rule: object) -> str:
    return str(getattr(rule, "__name__", "")).replace("_", "-")
