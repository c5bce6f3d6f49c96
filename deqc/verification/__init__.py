"""Whether a generated module computes what its spec means, and what its tolerances cost: what `deqc verify` shows."""

from deqc.verification.found import Verification
from deqc.verification.verify import verify

__all__ = ["Verification", "verify"]
