"""Rules about a pod's privileges: "restricted", the strictest of the Pod Security Standards, and a little more.

Each rule is a function of a ``Pod`` that yields the message and the hint. Its name is the rule's code, its docstring
the reason.
"""

# ruff: noqa: D401 - the docstring of a rule is its reason

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mlops_lab.deploy.lint.manifests import Pod, at, name_of, rows, table

SECRET_NAMES = ("_KEY", "_KEYS", "TOKEN", "PASSWORD", "SECRET")

Problems = Iterator[tuple[str, str]]


def runs_as_root(pod: Pod) -> Problems:
    """Root in a container becomes root on the node through a single kernel vulnerability."""
    for container in pod.every_container:
        user = _security(pod, container, "runAsUser")
        if _security(pod, container, "runAsNonRoot") is not True:
            yield f"The container {name_of(container)} may run as root.", "Set securityContext.runAsNonRoot: true."
        elif user is not None and (not isinstance(user, int) or user == 0):
            yield (
                f"The user of the container {name_of(container)} is {user!r}, which runAsNonRoot rejects.",
                "Remove runAsUser where the image names a numeric user, or set it to a number such as 10001.",
            )


def missing_seccomp(pod: Pod) -> Problems:
    """The default seccomp profile blocks the system calls that a server never needs."""
    for container in pod.every_container:
        if at(_security(pod, container, "seccompProfile"), "type") not in ("RuntimeDefault", "Localhost"):
            yield (
                f"The container {name_of(container)} may use every system call.",
                "Set securityContext.seccompProfile.type: RuntimeDefault.",
            )


def keeps_capabilities(pod: Pod) -> Problems:
    """A server on a port above 1023 needs no Linux capability."""
    for container in pod.every_container:
        dropped = at(container, "securityContext", "capabilities", "drop")
        if not isinstance(dropped, list) or "ALL" not in dropped:
            yield f"The container {name_of(container)} keeps capabilities.", "Set capabilities.drop: [ALL]."


def privilege_escalation(pod: Pod) -> Problems:
    """A set-uid program in the image can become root unless this is forbidden."""
    for container in pod.every_container:
        if at(container, "securityContext", "allowPrivilegeEscalation") is not False:
            yield (
                f"The container {name_of(container)} can gain privileges.",
                "Set securityContext.allowPrivilegeEscalation: false.",
            )


def writable_root(pod: Pod) -> Problems:
    """An intruder can change the program if the root file system is writable."""
    for container in pod.every_container:
        if at(container, "securityContext", "readOnlyRootFilesystem") is not True:
            yield (
                f"The container {name_of(container)} can write to its own root file system.",
                "Set securityContext.readOnlyRootFilesystem: true, and mount an emptyDir at /tmp.",
            )


def nowhere_to_write(pod: Pod) -> Problems:
    """Python and Flask keep large uploads in /tmp, which a read-only root file system does not provide."""
    for container in pod.containers:
        mounts = [mount for mount in rows(container, "volumeMounts") if mount.get("readOnly") is not True]
        fixed = at(container, "securityContext", "readOnlyRootFilesystem") is True
        if fixed and not any(mount.get("mountPath") in ("/tmp", "/tmp/") for mount in mounts):
            yield f"The container {name_of(container)} cannot write to /tmp.", "Mount an emptyDir there."


def shares_the_host(pod: Pod) -> Problems:
    """An intruder gains everything that the pod shares with its node."""
    for key in ("hostNetwork", "hostPID", "hostIPC"):
        if pod.spec.get(key) is True:
            yield f"The pod has {key}: true.", "Remove it."
    for volume in rows(pod.spec, "volumes"):
        if "hostPath" in volume:
            yield f"The volume {volume.get('name')!r} is a folder of the node.", "Use a claim or an emptyDir."
    for container in pod.every_container:
        if at(container, "securityContext", "privileged") is True:
            yield f"The container {name_of(container)} is privileged.", "Remove privileged: true."


def token_mounted(pod: Pod) -> Problems:
    """A server that never uses the Kubernetes API needs no token for it."""
    if pod.spec.get("automountServiceAccountToken") is not False:
        yield "The pod gets a token for the Kubernetes API.", "Set automountServiceAccountToken: false in the pod."


def plain_secret(pod: Pod) -> Problems:
    """Everybody who may read the Deployment, or its repository, can read the secret."""
    for container in pod.every_container:
        for row in rows(container, "env"):
            name = str(row.get("name", ""))
            if row.get("value") and name.upper().endswith(SECRET_NAMES):
                yield f"The value of {name} is in the file.", "Read it from a Secret with secretKeyRef."


def optional_key(pod: Pod) -> Problems:
    """A server whose API key is an optional Secret is open to everybody when the Secret is missing."""
    for container in pod.every_container:
        for row in rows(container, "env"):
            ref = table(row, "valueFrom", "secretKeyRef")
            if ref.get("optional") is True and str(row.get("name", "")).upper().endswith(SECRET_NAMES):
                yield f"The Secret of {row.get('name')} is optional.", "Remove optional: true."


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
    optional_key,
)


def _security(pod: Pod, container: dict[str, Any], key: str) -> Any:
    """Return a setting of the container, or the pod's where the container has none."""
    own = at(container, "securityContext", key)
    return own if own is not None else at(pod.spec, "securityContext", key)
