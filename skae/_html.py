"""The one place that touches scikit-learn's HTML representation, which is private."""

import re

from sklearn.base import BaseEstimator

LINK = re.compile(
    r'(class="param-doc-link"[^>]*?)\s+rel="noreferrer"[^>]*?href="[^"]*"'
)


class ParameterHelpMixin:
    """Show the docstring of each parameter and attribute in notebooks.

    scikit-learn shows them on links to an online manual, and not at all where a class
    has none. Here the names show them without being links.
    """

    def _get_params_html(self, deep=True, doc_link=""):
        html = BaseEstimator._get_params_html(self, deep, doc_link or "#")
        return _without_links(html)

    def _get_fitted_attr_html(self, doc_link=""):
        html = BaseEstimator._get_fitted_attr_html(self, doc_link or "#")
        return _without_links(html)


def _without_links(table):
    render = table._html_repr
    table._html_repr = lambda: LINK.sub(r"\1", render())
    return table
