"""The JSON Schema of specs, generated from the op table, the methods and the settings.

`schemas/deqc-1.schema.json` holds it, for editors and for `deqc.spec.validate`; `python -m deqc.spec.schema` writes it
again.
"""

from __future__ import annotations

import json
from typing import Any

FILE = "deqc-1.schema.json"


def schema() -> dict[str, Any]:
    """The schema as data."""
    from deqc.spec.schema.document import document

    return document()


def text() -> str:
    """The schema as the file holds it."""
    return json.dumps(schema(), indent=1, ensure_ascii=False) + "\n"
