"""NumPy arrays by the type of their elements, for signatures; docstrings give the shapes."""

from typing import Any

import numpy as np
import numpy.typing as npt

Bool = npt.NDArray[np.bool_]
Int32 = npt.NDArray[np.int32]
Int64 = npt.NDArray[np.int64]
UInt64 = npt.NDArray[np.uint64]
Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]
Int = npt.NDArray[np.integer[Any]]  # Of any width.
Float = npt.NDArray[np.floating[Any]]
