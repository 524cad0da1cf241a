"""Sphinx configuration."""

import skae

project = "skae"
author = "The skae developers"
copyright = "2026, The skae developers"
release = version = skae.__version__

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.viewcode",
]
exclude_patterns = ["_build"]
autosummary_generate = True
# Docstrings name the types.
autodoc_typehints = "none"
numpydoc_show_class_members = False
numpydoc_validation_checks = set()
toc_object_entries_show_parents = "hide"
myst_heading_anchors = 3

html_theme = "pydata_sphinx_theme"
html_title = "skae"
html_theme_options = {"navigation_with_keys": False, "show_prev_next": False}
html_sidebars = {"**": []}
