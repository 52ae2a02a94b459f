"""The file that measurements are kept in."""

import json
import re


def text(record):
    """JSON in which what holds nothing else is on one line."""
    indented = json.dumps(record, indent=1, ensure_ascii=False)
    return re.sub(r"[\[{][^\[\]{}]*[\]}]", lambda m: re.sub(r"\n\s*", " ", m[0]), indented) + "\n"
