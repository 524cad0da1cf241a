"""The one place that touches scikit-learn's HTML representation, which is private."""

import re
from typing import Any

from sklearn.base import BaseEstimator

LINK = re.compile(
    r'(class="param-doc-link"[^>]*?)\s+rel="noreferrer"[^>]*?href="[^"]*"'
)


class ParameterHelpMixin:
    """Show the docstring of each parameter and attribute in notebooks.

    scikit-learn shows them on links to an online manual, and not at all where a class
    has none. Here the names show them without being links.
    """

    def _get_params_html(self, deep: bool = True, doc_link: str = "") -> Any:
        html = BaseEstimator._get_params_html(self, deep, doc_link or "#")
        return _without_links(html)

    def _get_fitted_attr_html(self, doc_link: str = "") -> Any:
        html = BaseEstimator._get_fitted_attr_html(self, doc_link or "#")
        return _without_links(html)


def _without_links(table: Any) -> Any:
    render = table._html_repr
    table._html_repr = lambda: LINK.sub(r"\1", render())
    return table
