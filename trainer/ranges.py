"""Kinds of numbers that settings may be; msgspec checks them when a configuration is read, and names what is wrong."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

Count = Annotated[int, Meta(ge=0)]
"""0 or more of something."""
Positive = Annotated[int, Meta(ge=1)]
"""At least one of something."""
Share = Annotated[float, Meta(ge=0.0, le=1.0)]
"""A share of a whole, or a probability."""
Weight = Annotated[float, Meta(ge=0.0, le=1e9)]
"""A factor that may be 0."""
Scale = Annotated[float, Meta(gt=0.0, le=1e9)]
"""A factor that may not be 0."""
