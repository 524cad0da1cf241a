"""Loaders of the data of the case studies."""

from pathlib import Path
from typing import Any

import numpy as np
from sklearn.datasets import fetch_openml
from sklearn.utils import Bunch

from skae._optional import optional
from skae.datasets._files import SOURCES, DataHome

# Columns of UNSW-NB15 that are no inputs, and the ones that are text.
NO_INPUTS = ["id", "attack_cat", "label"]
CATEGORICAL = ["proto", "service", "state"]


def load_creditcard(*, data_home: DataHome = None) -> Bunch:
    """Load card payments of two days of 2013, of which few are frauds.

    28 principal components and the amount of each payment; the time is left out. The
    file is ``creditcard/creditcard.csv`` of the publisher, or a subset as
    ``creditcard.npz`` with ``X``, ``y`` and ``columns``. Where neither is there, all
    284,807 rows are fetched from OpenML (data set 1597). Needs pandas.

    Parameters
    ----------
    data_home : path-like, default=None
        Folder with the data sets. None: the environment variable ``SKAE_DATA``.

    Returns
    -------
    :class:`~sklearn.utils.Bunch`
        ``data``, a data frame with 29 columns; ``target``, -1 for frauds, else +1;
        ``feature_names``.

    References
    ----------
    .. [1] Dal Pozzolo, A., Caelen, O., Johnson, R. A., Bontempi, G. (2015).
       Calibrating probability with undersampling for unbalanced classification. CIDM.
       https://www.kaggle.com/datasets/mlg-ulb/creditcardfraud

    Examples
    --------
    >>> from skae.datasets import load_creditcard
    >>> X, y = map(load_creditcard().get, ("data", "target"))  # doctest: +SKIP
    >>> X.shape[1]  # doctest: +SKIP
    29
    """
    pandas = optional("pandas", "cli")
    paths = SOURCES["creditcard"].find(data_home)
    if paths is None:
        table = fetch_openml(data_id=1597, as_frame=True).frame
    elif paths[0].suffix == ".csv":
        table = pandas.read_csv(paths[0])
    else:
        with np.load(paths[0]) as file:
            table = pandas.DataFrame(file["X"], columns=list(file["columns"]))
            table["Class"] = file["y"]
    is_outlier = table.pop("Class").astype(int) == 1
    return _bunch(table.drop(columns="Time", errors="ignore"), is_outlier)


def load_unsw_nb15(*, data_home: DataHome = None) -> Bunch:
    """Load network connections, more than half of them attacks.

    The official part of 82,332 connections, ``UNSW_NB15_testing-set.csv`` below the
    folder ``unsw_nb15``. Needs pandas.

    Parameters
    ----------
    data_home : path-like, default=None
        Folder with the data sets. None: the environment variable ``SKAE_DATA``.

    Returns
    -------
    :class:`~sklearn.utils.Bunch`
        ``data``, a data frame with 42 columns, of which ``proto``, ``service`` and
        ``state`` are text and come first; ``target``, -1 for attacks, else +1;
        ``kind``, what kind of attack, or "Normal"; ``feature_names``.

    Raises
    ------
    FileNotFoundError
        If the file is not there. The message says where to get it.

    References
    ----------
    .. [1] Moustafa, N., Slay, J. (2015). UNSW-NB15: a comprehensive data set for
       network intrusion detection systems. MilCIS.
       https://research.unsw.edu.au/projects/unsw-nb15-dataset

    Examples
    --------
    >>> from skae.datasets import load_unsw_nb15
    >>> load_unsw_nb15().data.shape  # doctest: +SKIP
    (82332, 42)
    """
    table = _read_csv("unsw_nb15", data_home, encoding="utf-8-sig")
    numbers = [n for n in table if n not in CATEGORICAL + NO_INPUTS]
    return _bunch(
        table[CATEGORICAL + numbers],
        table["label"] == 1,
        kind=table["attack_cat"].to_numpy(),
    )


def load_hpc(*, data_home: DataHome = None) -> Bunch:
    """Load sensors of a node of a supercomputer, every five minutes.

    ``hpc/hpc.csv`` (or ``hpc.csv.gz``) of M. Lombardi's lectures [1]_, 6,667 rows in
    the order of time. Outliers are rows in which the frequency of the processors was
    governed otherwise than usual. Needs pandas.

    Parameters
    ----------
    data_home : path-like, default=None
        Folder with the data sets. None: the environment variable ``SKAE_DATA``.

    Returns
    -------
    :class:`~sklearn.utils.Bunch`
        ``data``, a data frame with 159 columns; ``target``, +1 or -1; ``mode``, 0
        for usual rows, 1 and 2 for the two other modes; ``time``, their dates;
        ``feature_names``.

    Raises
    ------
    FileNotFoundError
        If the file is not there. The message says where to get it.

    References
    ----------
    .. [1] https://github.com/lompabo

    Examples
    --------
    >>> from skae.datasets import load_hpc
    >>> load_hpc().data.shape  # doctest: +SKIP
    (6667, 159)
    """
    pandas = optional("pandas", "cli")
    table = _read_csv("hpc", data_home)
    time = pandas.to_datetime(table.pop("timestamp")).to_numpy()
    mode = table.pop("anomaly").to_numpy().astype(int)
    return _bunch(table, mode != 0, mode=mode, time=time)


def load_ecg5000(*, data_home: DataHome = None) -> Bunch:
    """Load heartbeats of one patient, each 140 values long.

    ``ECG5000_TRAIN.txt`` and ``ECG5000_TEST.txt`` of the publisher below the folder
    ``ecg5000``, or both in ``ecg5000.npz``.

    Parameters
    ----------
    data_home : path-like, default=None
        Folder with the data sets. None: the environment variable ``SKAE_DATA``.

    Returns
    -------
    :class:`~sklearn.utils.Bunch`
        ``data``, of shape (5000, 140); ``target``, +1 for normal beats, else -1;
        ``kind``, 1 for normal beats and 2 to 5 for others; ``is_train``, which rows
        are the publisher's training part; ``feature_names``.

    Raises
    ------
    FileNotFoundError
        If the files are not there. The message says where to get them.

    References
    ----------
    .. [1] Chen, Y., Hao, Y., Rakthanmanon, T., Zakaria, J., Hu, B., Keogh, E. (2015).
       A general framework for never-ending learning from time series streams. Data
       Mining and Knowledge Discovery 29. https://doi.org/10.1007/s10618-014-0388-4

    Examples
    --------
    >>> from skae.datasets import load_ecg5000
    >>> load_ecg5000().data.shape[1]  # doctest: +SKIP
    140
    """
    parts = _parts_of_ecg5000(SOURCES["ecg5000"].get(data_home))
    kind = np.concatenate([y for _, y in parts]).astype(int)
    return _bunch(
        np.concatenate([X for X, _ in parts]),
        kind != 1,
        kind=kind,
        is_train=np.arange(len(kind)) < len(parts[0][0]),
    )


def load_mnist(*, data_home: DataHome = None) -> Bunch:
    """Load images of handwritten digits: the 10,000 test images of MNIST.

    From ``mnist/mnist_t10k.npz`` with ``x`` and ``y``. Where it is not there, the
    last 10,000 images of OpenML's ``mnist_784`` are fetched.

    Parameters
    ----------
    data_home : path-like, default=None
        Folder with the data sets. None: the environment variable ``SKAE_DATA``.

    Returns
    -------
    :class:`~sklearn.utils.Bunch`
        ``data``, of shape (10000, 784), from 0 to 255; ``target``, the digits;
        ``images``, the same as ``data`` of shape (10000, 28, 28).

    References
    ----------
    .. [1] LeCun, Y., Bottou, L., Bengio, Y., Haffner, P. (1998). Gradient-based
       learning applied to document recognition. Proceedings of the IEEE 86.
       https://doi.org/10.1109/5.726791

    Examples
    --------
    >>> from skae.datasets import load_mnist
    >>> load_mnist().data.shape  # doctest: +SKIP
    (10000, 784)
    """
    paths = SOURCES["mnist"].find(data_home)
    if paths is None:
        both = fetch_openml("mnist_784", version=1, as_frame=False)
        images, digits = both.data[60000:], both.target[60000:]
    else:
        with np.load(paths[0]) as file:
            images, digits = file["x"], file["y"]
    images = images.reshape(-1, 28, 28)
    return Bunch(data=images.reshape(-1, 784), target=digits.astype(int), images=images)


def load_movielens(*, data_home: DataHome = None) -> Bunch:
    """Load ratings of films by users: MovieLens 100k.

    ``u.data`` and ``u.item`` of the publisher below the folder ``ml100k``.

    Parameters
    ----------
    data_home : path-like, default=None
        Folder with the data sets. None: the environment variable ``SKAE_DATA``.

    Returns
    -------
    :class:`~sklearn.utils.Bunch`
        ``data``, of shape (943, 1682): ratings from 1 to 5 of users, in rows, for
        films, in columns; NaN where there is none. ``feature_names``, the films.

    Raises
    ------
    FileNotFoundError
        If the files are not there. The message says where to get them.

    References
    ----------
    .. [1] Harper, F. M., Konstan, J. A. (2015). The MovieLens datasets: history and
       context. ACM Transactions on Interactive Intelligent Systems 5.
       https://doi.org/10.1145/2827872

    Examples
    --------
    >>> from skae.datasets import load_movielens
    >>> load_movielens().data.shape  # doctest: +SKIP
    (943, 1682)
    """
    ratings_path, films_path = SOURCES["ml100k"].get(data_home)
    user, film, rating, _ = np.loadtxt(ratings_path, dtype=int).T
    lines = films_path.read_text(encoding="latin-1").splitlines()
    films = [line.split("|")[1] for line in lines]
    ratings = np.full((user.max(), len(films)), np.nan)
    ratings[user - 1, film - 1] = rating
    return Bunch(data=ratings, feature_names=films)


def _read_csv(name: str, data_home: DataHome, **options: Any) -> Any:
    return optional("pandas", "cli").read_csv(
        SOURCES[name].get(data_home)[0], **options
    )


def _parts_of_ecg5000(paths: list[Path]) -> list[tuple[np.ndarray, np.ndarray]]:
    """Rows and kinds of the training and the test part."""
    if paths[0].suffix == ".npz":
        with np.load(paths[0]) as file:
            return [
                (file[f"X_{part}"], file[f"y_{part}"]) for part in ("train", "test")
            ]
    tables = [np.loadtxt(path) for path in paths]
    return [(table[:, 1:], table[:, 0]) for table in tables]


def _bunch(data: Any, is_outlier: Any, **others: Any) -> Bunch:
    names = getattr(data, "columns", [f"x{i}" for i in range(data.shape[1])])
    return Bunch(
        data=data,
        target=np.where(is_outlier, -1, 1),
        feature_names=[str(name) for name in names],
        **others,
    )
