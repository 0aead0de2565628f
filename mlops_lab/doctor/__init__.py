"""Find what usually breaks before it does, and say how to mend it: ``doctor.examine()`` in a cell or a script."""

from mlops_lab.doctor.checkup import examine as examine
from mlops_lab.doctor.findings import Checkup as Checkup
from mlops_lab.doctor.findings import Finding as Finding
