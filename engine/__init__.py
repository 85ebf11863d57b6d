"""The standalone Go engine: rules, model inference, search. Never imports torch, grpc or gymnasium."""

__version__ = "1.20.0"
