"""The back end: from a program and its adjoint to a plan, and from the plan to the text of a module."""
