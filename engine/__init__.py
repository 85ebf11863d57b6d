"""The standalone Go engine: rules, model inference, search. Never imports torch, grpc or gymnasium."""

from engine import kernel_cache

__version__ = "1.20.0"

kernel_cache.prepare()  # before anything below imports numba
