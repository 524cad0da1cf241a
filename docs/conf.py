"""Sphinx configuration."""

import sys
from pathlib import Path

import matplotlib as mpl

import skae

# Pictures of benchmarks and studies are drawn from their committed figures.
sys.path.insert(0, str(Path(__file__).parents[1]))
from benchmarks.studies.pages import unwritten

project = "skae"
author = "The skae developers"
copyright = "2026, The skae developers"
release = version = skae.__version__

extensions = [
    "matplotlib.sphinxext.plot_directive",
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
    "sphinx_design",
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
    # They draw what the studies have written, whose change Sphinx does not see.
    "run_stale_examples": True,
}
exclude_patterns = ["_build", "_templates", "gallery"]
templates_path = ["_templates"]
autosummary_generate = True
# Docstrings name the types.
autodoc_typehints = "none"
numpydoc_show_class_members = False
numpydoc_validation_checks = set()
toc_object_entries = False
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
# What is copied runs: without prompts and what they print.
copybutton_prompt_text = r">>> |\.\.\. "
copybutton_prompt_is_regexp = True

plot_formats = [("png", 160)]
plot_html_show_formats = False
plot_html_show_source_link = False
plot_include_source = True
plot_rcparams = dict(
    mpl.rc_params_from_file(
        Path(__file__).with_name("pictures.mplstyle"), use_default_template=False
    )
)
plot_apply_rcparams = True

html_theme = "pydata_sphinx_theme"
html_title = f"skae {version}"
html_theme_options = {
    "header_links_before_dropdown": 7,
    "logo": {"text": html_title},
    "navigation_with_keys": False,
    "secondary_sidebar_items": {"**": ["page-toc"], "index": []},
    "show_nav_level": 2,
}
html_sidebars = {"index": []}
html_static_path = ["_static"]
html_css_files = ["skae.css"]
html_show_sourcelink = False
