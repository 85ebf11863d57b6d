"""Version 1 of the interface: what `engine.proto` says, as Python, for server and client alike."""

from __future__ import annotations

from typing import Final

MODEL_PREFIX: Final = "models/"
"""What a model's resource name, "models/{model}", begins with."""
