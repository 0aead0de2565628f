"""Stage 5: validate. Find out whether what answers at an address is good enough to be let at the users.

Three questions, each a function whose result draws itself: does it keep the contract (:func:`check_contract`, the
integration tests of the course), does it do its job (:func:`check_acceptance`), and does it bear the load
(:func:`measure_load`). They ask any server by its address: ours, TensorFlow Serving or your own.
"""

from mlops_lab.findings import Finding as Finding
from mlops_lab.validate.acceptance import Expected as Expected
from mlops_lab.validate.acceptance import check_acceptance as check_acceptance
from mlops_lab.validate.contract import check_contract as check_contract
from mlops_lab.validate.load import LoadResult as LoadResult
from mlops_lab.validate.load import LoadTestConfig as LoadTestConfig
from mlops_lab.validate.load import measure_load as measure_load
from mlops_lab.validate.report import Report as Report
