"""The stable code of every diagnostic, with the mistake it stands for.

E001–E019 file and YAML, E020–E039 structure, types and bounds, E040–E049 names and references, E050–E059 expressions,
E060–E079 shapes, E080–E089 solver and adjoint, E090–E099 output and limits, N1xx notes. A code is never used again for
another mistake.
"""

from __future__ import annotations

from typing import Final

CODES: Final[dict[str, str]] = {
    "E001": "the file is not text in UTF-8",
    "E002": "the spec is too large",
    "E003": "a character is not allowed",
    "E004": "the text is not YAML",
    "E005": "values are nested too deeply",
    "E006": "the spec holds too many values",
    "E007": "the file is not one YAML 1.2 document",
    "E008": "the spec is not a mapping",
    "E009": "a key is not text",
    "E010": "a key is given twice",
    "E011": "merge keys are not part of the language",
    "E012": "tags are not part of the language",
    "E013": "a value is missing",
    "E014": "a number is too large or not finite",
    "E015": "an alias or an anchor is wrong",
    "E016": "there are too many mistakes to go on",
    "E020": "a key is unknown",
    "E021": "something required is missing",
    "E022": "a value has the wrong form or type",
    "E023": "a number is out of bounds",
    "E024": "a word is not one of the choices",
    "E025": "a name is in the language but not available in this version",
    "E026": "a list has the wrong number of entries",
    "E028": "a list stands inside a chain",
    "E029": "a step has several names",
    "E031": "`scale` and `scales` are both written",
    "E040": "a name is malformed",
    "E041": "a name is reserved",
    "E042": "a step is unknown",
    "E043": "a value is unknown here",
    "E044": "a name is taken",
    "E045": "two layers would have the same path",
    "E046": "a computation has no value to start from",
    "E047": "a block uses itself",
    "E048": "a step may not stand in this section",
    "E049": "a result is dropped",
    "E050": "an expression is malformed",
    "E051": "an expression is too long or nested too deeply",
    "E052": "an expression reads an unknown name",
    "E053": "an expression reads a field that does not exist",
    "E054": "an expression mixes numbers and truth values",
    "E055": "an expression divides by zero",
    "E056": "a number in an expression is too large or not finite",
    "E057": "the exponent in an expression is out of bounds",
    "E080": "an option belongs to another method",
}
