"""Sphinx configuration."""

import sys
from pathlib import Path

import skae

# The gallery shows what the studies among the benchmarks have written.
sys.path.insert(0, str(Path(__file__).parents[1]))
from benchmarks.studies.pages import unwritten

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
    "sphinx_gallery.gen_gallery",
]
sphinx_gallery_conf = {
    "examples_dirs": "gallery",
    "gallery_dirs": "generated/gallery",
    "filename_pattern": r"\.py$",
    "ignore_pattern": unwritten(Path(__file__).parent / "gallery"),
    "within_subsection_order": "FileNameSortKey",
    "download_all_examples": False,
    "show_memory": False,
    "show_signature": False,
    "abort_on_example_error": True,
}
exclude_patterns = ["_build", "gallery"]
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
