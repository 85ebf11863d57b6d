"""The standalone Go engine: rules, model inference, search. Imports numpy, numba, onnxruntime and sgfmill; never torch."""

__version__ = "1.20.0"
