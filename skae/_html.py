"""The one place that touches scikit-learn's HTML representation, which is private."""

import re
from collections.abc import Callable
from typing import Any

from sklearn.base import BaseEstimator
from sklearn.utils.metaestimators import available_if

LINK = re.compile(
    r'(class="param-doc-link"[^>]*?)\s+rel="noreferrer"[^>]*?href="[^"]*"'
)


def _known(name: str) -> Callable[[Any], bool]:
    """Whether scikit-learn has a method of this name, which it may change."""
    return lambda estimator: hasattr(BaseEstimator, name)


class ParameterHelpMixin:
    """Show the docstring of each parameter and attribute in notebooks.

    scikit-learn shows them on links to an online manual, and not at all where a class
    has none. Here the names show them without being links.
    """

    @available_if(_known("_get_params_html"))
    def _get_params_html(self, deep: bool = True, doc_link: str = "") -> Any:
        html = BaseEstimator._get_params_html(self, deep, doc_link or "#")
        return _without_links(html)

    @available_if(_known("_get_fitted_attr_html"))
    def _get_fitted_attr_html(self, doc_link: str = "") -> Any:
        html = BaseEstimator._get_fitted_attr_html(self, doc_link or "#")
        return _without_links(html)


def _without_links(table: Any) -> Any:
    render = getattr(table, "_html_repr", None)
    if render is not None:
        table._html_repr = lambda: LINK.sub(r"\1", render())
    return table
