"""Data of the case studies, from a local folder, and seeded generators.

The loaders read files below the folder that ``data_home`` or the environment variable
``SKAE_DATA`` names, as their publishers give them away; nothing is bundled with the
package. Labels are +1 for inliers and -1 for outliers.
"""

from skae.datasets._generators import (
    make_dependence_outliers,
    make_sensor_outliers,
    make_sparse_counts,
)
from skae.datasets._loaders import (
    load_creditcard,
    load_ecg5000,
    load_hpc,
    load_mnist,
    load_movielens,
    load_unsw_nb15,
)

__all__ = [
    "load_creditcard",
    "load_ecg5000",
    "load_hpc",
    "load_mnist",
    "load_movielens",
    "load_unsw_nb15",
    "make_dependence_outliers",
    "make_sensor_outliers",
    "make_sparse_counts",
]
