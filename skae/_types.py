"""Types of what users pass."""

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import sparray, spmatrix

# A table of rows: an array, a data frame or anything that NumPy makes one of.
MatrixLike = ArrayLike | sparray | spmatrix

RandomState = int | np.random.RandomState | None
