"""Configuration of the documentation site; `make docs` builds it. Nothing here uses the network."""

from __future__ import annotations

import sys
from pathlib import Path

import repoint

DOCS = Path(__file__).resolve().parent
sys.path[:0] = [str(DOCS / "_ext"), str(DOCS.parent / "packaging")]

project = "Repoint"
author = "the Repoint authors"
project_copyright = author
version = release = repoint.__version__
language = "en"

extensions = [
    "command_reference",
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
]
exclude_patterns = ["requirements.txt"]

html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_title = f"Repoint {release}"
html_theme_options = {"navigation_with_keys": True}
# A reader needs neither the page's source nor a record of who built it.
html_copy_source = False
html_show_sphinx = False

# Headings get the anchors that GitHub gives them, so that links work in both places.
myst_heading_anchors = 4
myst_enable_extensions = ["attrs_inline"]

# Docstrings set code in single backticks.
default_role = "code"

autodoc_preserve_defaults = True
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
python_use_unqualified_type_names = True
napoleon_google_docstring = True
napoleon_numpy_docstring = False

copybutton_prompt_text = "$ "
