"""Writes `schemas/deqc-1.schema.json` again: `python -m deqc.spec.schema`."""

from deqc.resources import folder
from deqc.spec.schema import FILE, text

(folder("schemas") / FILE).write_text(text(), encoding="utf-8")
