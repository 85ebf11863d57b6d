"""One thread a library in every test and in every process that a test starts.

A pool of threads that waits for cores others are using turns seconds into minutes, and sums in another order. Set here,
before any test imports numpy, torch or ONNX Runtime; and the engine says where kernels are kept before
one imports numba.
"""

from __future__ import annotations

import os

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

import engine  # noqa: E402, F401
