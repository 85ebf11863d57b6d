"""The standalone Go engine: rules, model inference, search. Imports numpy, numba, onnxruntime and sgfmill; never torch."""
