"""Text of others that is shown: names, licences, notes, file names. It stays text, whatever shows it."""

from __future__ import annotations

import json
import re
from typing import Any

_ODD = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u180e\u200b-\u200f\u2028-\u202e"
    "\u2060-\u206f\ud800-\udfff\ufeff\ufff0-\ufffb\U000110bd\U000110cd\U00013430-\U0001345f\U0001bca0-\U0001bca3"
    "\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
"""What has no shape of its own: controls, marks that turn the direction of text or hide, halves of characters."""
_FORMULA = re.compile("[ \u00a0]*[=+\\-@\uff1d\uff0b\uff0d\uff20]")
"""What a spreadsheet takes for a formula."""


def shown(text: object, lines: bool = False) -> str:
    """The text with all that is no visible character as an escape such as `\\x1b`, on one line unless `lines`."""
    kept = str(text)
    if not lines:
        kept = re.sub(r"[ \t]*[\n\r\t][ \t\n\r]*", " ", kept)
    return _ODD.sub(lambda found: found[0] if lines and found[0] in "\n\t" else _escape(found[0]), kept)


def document(data: Any, ascii_only: bool = False) -> str:
    """JSON that a terminal may show: in its texts, too, everything odd is an escape."""
    text = json.dumps(data, indent=2, ensure_ascii=ascii_only, default=str)
    return _ODD.sub(lambda found: found[0] if found[0] == "\n" else _json_escape(found[0]), text)


def cell(value: object) -> object:
    """A value of a table for a spreadsheet: text that it would run gets an apostrophe before it."""
    if not isinstance(value, str):
        return value
    text = shown(value)
    return f"'{text}" if _FORMULA.match(text) or value[:1] in ("\t", "\r") else text


def _escape(letter: str) -> str:
    number = ord(letter)
    if 0xDC80 <= number < 0xDD00:  # a byte of a file name that is no UTF-8
        return f"\\x{number - 0xDC00:02x}"
    return f"\\x{number:02x}" if number < 256 else f"\\u{number:04x}" if number < 2**16 else f"\\U{number:08x}"


def _json_escape(letter: str) -> str:
    return json.dumps(letter)[1:-1] if letter != "\x7f" else "\\u007f"
