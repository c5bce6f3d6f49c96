"""A model as a picture: its scales, layers and mapping matrix, what is computed once a solve and what in the loop."""

from deqc.picture.mermaid import mermaid
from deqc.picture.scene import scene
from deqc.picture.svg import svg

__all__ = ["mermaid", "scene", "svg"]
