"""How a spec is laid out as text: what `deqc fmt` does, which never changes what a spec means."""

from deqc.layout.format import format_text

__all__ = ["format_text"]
