"""Rules about what a pod may do: "restricted", the strictest of the Pod Security Standards, and a little more.

Each rule is a function of a ``Pod`` that yields what is wrong and what to do. Its name is
the rule's code word, its docstring the reason.
"""

# ruff: noqa: D401 - the docstring of a rule is its reason

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mlops_lab.deploy.lint.manifests import Pod, at, rows

Said = Iterator[tuple[str, str]]


def runs_as_root(pod: Pod) -> Said:
    """Root in a container is one hole in the kernel away from root outside."""
    for container in pod.every_container:
        user = _security(pod, container, "runAsUser")
        if _security(pod, container, "runAsNonRoot") is not True:
            yield f"The container {_name(container)} may run as root.", "Set securityContext.runAsNonRoot: true."
        elif not isinstance(user, int) or user == 0:
            yield (
                f"The user of the container {_name(container)} is {user!r}, so runAsNonRoot cannot be checked.",
                "Set securityContext.runAsUser to a number such as 10001.",
            )


def missing_seccomp(pod: Pod) -> Said:
    """The default profile takes away the system calls that a server never makes."""
    for container in pod.every_container:
        if at(_security(pod, container, "seccompProfile"), "type") not in ("RuntimeDefault", "Localhost"):
            yield (
                f"The container {_name(container)} may make every system call.",
                "Set securityContext.seccompProfile.type: RuntimeDefault.",
            )


def keeps_capabilities(pod: Pod) -> Said:
    """A server on a port above 1023 needs none of root's powers."""
    for container in pod.every_container:
        dropped = at(container, "securityContext", "capabilities", "drop")
        if not isinstance(dropped, list) or "ALL" not in dropped:
            yield f"The container {_name(container)} keeps capabilities.", "Set capabilities.drop: [ALL]."


def privilege_escalation(pod: Pod) -> Said:
    """Unless forbidden, a set-uid program in the image can become root."""
    for container in pod.every_container:
        if at(container, "securityContext", "allowPrivilegeEscalation") is not False:
            yield (
                f"The container {_name(container)} can gain privileges.",
                "Set securityContext.allowPrivilegeEscalation: false.",
            )


def writable_root(pod: Pod) -> Said:
    """Whoever breaks in can change what runs, where the root file system can be written."""
    for container in pod.every_container:
        if at(container, "securityContext", "readOnlyRootFilesystem") is not True:
            yield (
                f"The container {_name(container)} can write to its own root file system.",
                "Set securityContext.readOnlyRootFilesystem: true, and mount an emptyDir at /tmp.",
            )


def nowhere_to_write(pod: Pod) -> Said:
    """Python and Flask keep large uploads in /tmp, which a read-only root file system does not offer."""
    for container in pod.containers:
        mounts = [mount for mount in rows(container, "volumeMounts") if mount.get("readOnly") is not True]
        fixed = at(container, "securityContext", "readOnlyRootFilesystem") is True
        if fixed and not any(mount.get("mountPath") in ("/tmp", "/tmp/") for mount in mounts):
            yield f"The container {_name(container)} cannot write to /tmp.", "Mount an emptyDir there."


def shares_the_host(pod: Pod) -> Said:
    """What a pod shares with its node, an intruder shares too."""
    for key in ("hostNetwork", "hostPID", "hostIPC"):
        if pod.spec.get(key) is True:
            yield f"The pod has {key}: true.", "Remove it."
    for volume in rows(pod.spec, "volumes"):
        if "hostPath" in volume:
            yield f"The volume {volume.get('name')!r} is a folder of the node.", "Use a claim or an emptyDir."
    for container in pod.every_container:
        if at(container, "securityContext", "privileged") is True:
            yield f"The container {_name(container)} is privileged.", "Remove privileged: true."


def token_mounted(pod: Pod) -> Said:
    """A server that never talks to the Kubernetes API needs no key to it."""
    if pod.spec.get("automountServiceAccountToken") is not False:
        yield "The pod gets a token for the Kubernetes API.", "Set automountServiceAccountToken: false in the pod."


def plain_secret(pod: Pod) -> Said:
    """Whoever may read the Deployment, or the repository it is kept in, reads the value."""
    for container in pod.every_container:
        for row in rows(container, "env"):
            name = str(row.get("name", ""))
            if row.get("value") and name.upper().endswith(("_KEY", "_KEYS", "TOKEN", "PASSWORD", "SECRET")):
                yield f"The value of {name} stands in the file.", "Take it from a Secret with secretKeyRef."


RULES = (
    runs_as_root,
    missing_seccomp,
    keeps_capabilities,
    privilege_escalation,
    writable_root,
    nowhere_to_write,
    shares_the_host,
    token_mounted,
    plain_secret,
)


def _name(container: dict[str, Any]) -> str:
    return repr(container.get("name"))


def _security(pod: Pod, container: dict[str, Any], key: str) -> Any:
    """Return a setting of the container, or where it has none that of the pod."""
    own = at(container, "securityContext", key)
    return own if own is not None else at(pod.spec, "securityContext", key)
