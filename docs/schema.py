"""Write the JSON schema of `vasari verify --json`: `python docs/schema.py`, run by `make readme`.

It follows from the types of a verdict; a test notices when it is out of date.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from vasari.provenance.verdict import Verdict

SCHEMA = Path(__file__).resolve().parent.parent / "provenance" / "verdict.schema.json"


def schema() -> dict[str, Any]:
    """What one object that the command prints looks like: a verdict, or an unusable file."""
    verdict = TypeAdapter(Verdict).json_schema(mode="serialization", ref_template="#/$defs/{model}")
    definitions = verdict.pop("$defs")
    code = {"description": "What the program exits with.", "enum": [0, 2, 3, 4, 5]}
    objections = {
        "description": "What --policy objects to; missing without one.",
        "items": {"type": "string"},
        "type": "array",
    }
    verdict["properties"] |= {"exit_code": code, "objections": objections}
    verdict["required"].append("exit_code")
    definitions["Verdict"] = verdict
    definitions["Unusable"] = {
        "description": "A file that cannot be read, one of several.",
        "properties": {
            "path": {"type": "string"},
            "state": {"const": "unusable"},
            "headline": {"type": "string"},
            "exit_code": {"const": 2},
            "objections": objections,
        },
        "required": ["path", "state", "headline", "exit_code"],
        "type": "object",
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "vasari verify --json",
        "anyOf": [{"$ref": "#/$defs/Verdict"}, {"$ref": "#/$defs/Unusable"}],
        "$defs": definitions,
    }


def as_text() -> str:
    """The schema as the file holds it."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    SCHEMA.write_text(as_text())
