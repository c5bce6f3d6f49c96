"""How far a solve goes with an f that is rounded to a dtype of low precision."""

from typing import Final

# Times the eps of the dtype, and |f(z)|: the residual down to which f runs in it. Its own error at the solution was up
# to 1.6 of these on dense, convolutional and attention maps, in bfloat16 and float16, so that a smaller residual says
# more of rounding than of z. All solvers that read f alone get down to 3 in as many steps as with f in float32, within
# one or two, but for the slowest; not all of them get to 2, and to 1 few (benchmarks/rounding.py).
ROUNDINGS: Final = 3
