"""The course: eight notebooks, each from one source, and what a student needs around them.

``start`` makes a student's folder; ``lifecycle`` draws where a notebook stands; ``row`` shows images; ``reveal`` shows
an answer after a guess was typed. In a clone of the project ``build`` writes the notebooks from ``notebooks/src``,
and ``release`` makes assignments of them.
"""

from mlops_lab.course.building import build as build
from mlops_lab.course.drawing import Lifecycle as Lifecycle
from mlops_lab.course.drawing import lifecycle as lifecycle
from mlops_lab.course.guesses import Revealed as Revealed
from mlops_lab.course.guesses import reveal as reveal
from mlops_lab.course.pages import build_pages as build_pages
from mlops_lab.course.releasing import Released as Released
from mlops_lab.course.releasing import release as release
from mlops_lab.course.rows import Row as Row
from mlops_lab.course.rows import row as row
from mlops_lab.course.starting import Started as Started
from mlops_lab.course.starting import start as start
