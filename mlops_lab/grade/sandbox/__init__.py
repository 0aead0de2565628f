"""The sandbox that students' code runs in: no network, no way to the grader's files, limits on everything.

The grader is the parent. It shares no interpreter with students' code, reads only HTTP and JSON from it, and never
unpickles. What holds it depends on the machine: :func:`mlops_lab.grade.sandbox.rungs.choose` tries, and says what held.
"""

from mlops_lab.grade.sandbox.process import Sandbox as Sandbox
from mlops_lab.grade.sandbox.process import SandboxProcess as SandboxProcess
from mlops_lab.grade.sandbox.rungs import Limits as Limits
from mlops_lab.grade.sandbox.rungs import Rung as Rung
from mlops_lab.grade.sandbox.rungs import choose as choose
