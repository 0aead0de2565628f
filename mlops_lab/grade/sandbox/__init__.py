"""The sandbox that students' code runs in: no network, no way to the grader's files, limits on everything.

The grader is the parent. It shares no interpreter with students' code, reads only HTTP and JSON from it, and never
unpickles. The isolation depends on the machine: :func:`mlops_lab.grade.sandbox.isolation.choose` tries what works.
"""

from mlops_lab.grade.sandbox.isolation import Isolation as Isolation
from mlops_lab.grade.sandbox.isolation import Limits as Limits
from mlops_lab.grade.sandbox.isolation import choose as choose
from mlops_lab.grade.sandbox.process import Sandbox as Sandbox
from mlops_lab.grade.sandbox.process import SandboxProcess as SandboxProcess
