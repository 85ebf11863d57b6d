"""The offline trainer: MuZero self-play learning in PyTorch, environments, export. Never imports protocol."""
