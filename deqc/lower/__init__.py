"""From the typed spec to the IR, without any optimisation: shapes are inferred and checked here.

spec ──▶ Program      f reads its inputs, encoder values and parameters as they stand; passes do the rest
"""

from deqc.lower.program import lower

__all__ = ["lower"]
