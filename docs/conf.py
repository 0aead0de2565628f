"""The site: `make docs`, then open build/docs/index.html."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tools"))

import reference  # noqa: E402

import mlops_lab  # noqa: E402
from mlops_lab import course  # noqa: E402

reference.write(Path(__file__).with_name("reference"))
# The students' notebooks are run; their outputs are cached, so that a second build takes seconds.
course.build_pages(
    Path(__file__).with_name("course"), cache=ROOT / "build" / "pages", report=lambda line: print(line, flush=True)
)

project = "mlops_lab"
author = "the authors of mlops_lab"
version = release = mlops_lab.__version__
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
exclude_patterns = ["**/.ipynb_checkpoints"]
html_theme = "furo"
html_title = f"mlops_lab {release}"
html_baseurl = ""
html_static_path = ["_static"]
html_css_files = ["results.css"]  # the colours that results have in a notebook, in those of this theme
templates_path: list[str] = []
# Everything is on this machine: no font, script or inventory of another site.
html_theme_options = {"top_of_page_buttons": []}
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
# course.build_pages has run the notebooks; tests/notebooks look at what they show.
nb_execution_mode = "off"
nb_render_markdown_format = "myst"  # with tables, as in Jupyter
autodoc_member_order = "bysource"
autodoc_typehints = "none"
autodoc_mock_imports: list[str] = []
napoleon_google_docstring = False
napoleon_attr_annotations = False
napoleon_use_ivar = True
napoleon_use_rtype = False
# Names in prose are written as code; a link is made where a page gives one.
default_role = "code"
