"""How far a learned model can be trusted: what `tengen diagnose` measures. The command is trainer/diagnose.py."""
