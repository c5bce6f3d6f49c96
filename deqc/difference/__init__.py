"""What changed in meaning between two specs, and whether what relies on the old one still works."""

from deqc.difference.compare import Difference, difference
from deqc.difference.documents import Change

__all__ = ["Change", "Difference", "difference"]
