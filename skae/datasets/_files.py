"""Where the files of a data set are, and who publishes them."""

import os
from dataclasses import dataclass
from pathlib import Path

VARIABLE = "SKAE_DATA"

# A folder with data sets below it; None is the one that SKAE_DATA names.
DataHome = str | os.PathLike[str] | None


@dataclass(frozen=True)
class Source:
    """Files of a data set, as alternatives, and the address of their publisher."""

    alternatives: tuple[tuple[str, ...], ...]
    publisher: str

    def find(self, data_home: DataHome) -> list[Path] | None:
        """Files of the first alternative that is there, if one is."""
        folder = data_home if data_home is not None else os.environ.get(VARIABLE)
        if folder is None:
            return None
        for names in self.alternatives:
            paths = [Path(folder) / name for name in names]
            if all(path.is_file() for path in paths):
                return paths
        return None

    def get(self, data_home: DataHome) -> list[Path]:
        """Files, or an error that says where they belong and come from."""
        paths = self.find(data_home)
        if paths is None:
            wanted = ", or ".join(" and ".join(names) for names in self.alternatives)
            raise FileNotFoundError(
                f"data_home, or the environment variable {VARIABLE}, must name the "
                f"folder that holds {wanted}. Got "
                f"{data_home or os.environ.get(VARIABLE)}. The data are published at "
                f"{self.publisher}"
            )
        return paths


SOURCES = {
    "creditcard": Source(
        (("creditcard/creditcard.npz",), ("creditcard/creditcard.csv",)),
        "https://www.kaggle.com/datasets/mlg-ulb/creditcardfraud",
    ),
    "unsw_nb15": Source(
        (
            ("unsw_nb15/UNSW_NB15_82332.csv.gz",),
            ("unsw_nb15/UNSW_NB15_testing-set.csv",),
        ),
        "https://research.unsw.edu.au/projects/unsw-nb15-dataset",
    ),
    "hpc": Source(
        (("hpc/hpc.csv.gz",), ("hpc/hpc.csv",)),
        "https://github.com/lompabo (lectures of M. Lombardi)",
    ),
    "ecg5000": Source(
        (
            ("ecg5000/ecg5000.npz",),
            ("ecg5000/ECG5000_TRAIN.txt", "ecg5000/ECG5000_TEST.txt"),
        ),
        "https://www.timeseriesclassification.com/description.php?Dataset=ECG5000",
    ),
    "mnist": Source(
        (("mnist/mnist_t10k.npz",),),
        "https://www.openml.org/d/554",
    ),
    "ml100k": Source(
        (("ml100k/u.data", "ml100k/u.item"),),
        "https://grouplens.org/datasets/movielens/100k/",
    ),
}
