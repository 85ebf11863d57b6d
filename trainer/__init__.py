"""The offline trainer: MuZero self-play learning in PyTorch, Gymnasium environments, ONNX export. Never imports protocol."""
