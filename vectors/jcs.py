"""Canonical JSON in the profile tk-jcs-1 (docs/format/canonical-json.md), standard library only.

A number is kept as its token, an instance of Number; everything else is what Python's json gives.
"""

import json

DEPTH_MAX = 128


class Refused(ValueError):
    """A text that the profile refuses; the argument is the code."""


class Number(str):
    """The canonical text of a number."""


def number(token):
    value = float(token)
    if value in (float("inf"), float("-inf")):
        raise Refused("number_out_of_range")
    if token.lstrip("-").isdigit():
        return Number("0" if token == "-0" else token)
    return Number(double(value))


def double(value):
    """ECMAScript's Number::toString (RFC 8785 section 3.2.2.3) from the shortest digits, which Python's repr gives."""
    if value == 0:
        return "0"
    sign = "-" if value < 0 else ""
    mantissa, _, exponent = repr(abs(value)).partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = whole + ("" if fraction == "0" else fraction)
    point = len(whole) + int(exponent or 0)
    point -= len(digits) - len(digits.lstrip("0"))
    digits = digits.strip("0")
    count = len(digits)
    if count <= point <= 21:
        return sign + digits + "0" * (point - count)
    if 0 < point <= 21:
        return sign + digits[:point] + "." + digits[point:]
    if -6 < point <= 0:
        return sign + "0." + "0" * -point + digits
    exponent = point - 1
    fraction = "." + digits[1:] if count > 1 else ""
    return "%s%s%se%s%d" % (sign, digits[0], fraction, "+" if exponent >= 0 else "-", abs(exponent))


def read(text):
    """Reads JSON (str or bytes), strictly; numbers become Number."""
    if isinstance(text, bytes):
        try:
            text = text.decode("utf-8")
        except UnicodeDecodeError:
            raise Refused("invalid_utf8") from None

    def members(pairs):
        names = [name for name, _ in pairs]
        if len(set(names)) < len(names):
            raise Refused("duplicate_name")
        return dict(pairs)

    def constant(_):
        raise Refused("malformed_json")

    try:
        value = json.loads(text, parse_int=number, parse_float=number, parse_constant=constant, object_pairs_hook=members)
    except json.JSONDecodeError:
        raise Refused("malformed_json") from None
    except RecursionError:
        raise Refused("too_deep") from None
    check(value, 1)
    return value


def check(value, depth):
    """Refuses half surrogate pairs, which Python lets pass, and what is nested too deep."""
    if isinstance(value, str) and any(0xD800 <= ord(character) <= 0xDFFF for character in value):
        raise Refused("lone_surrogate")
    if isinstance(value, (list, dict)) and depth > DEPTH_MAX:
        raise Refused("too_deep")
    if isinstance(value, list):
        for item in value:
            check(item, depth + 1)
    if isinstance(value, dict):
        for name, item in value.items():
            check(name, depth)
            check(item, depth + 1)


ESCAPES = {'"': '\\"', "\\": "\\\\", "\b": "\\b", "\t": "\\t", "\n": "\\n", "\f": "\\f", "\r": "\\r"}


def string(text):
    escaped = (ESCAPES.get(c) or ("\\u%04x" % ord(c) if c < " " else c) for c in text)
    return '"%s"' % "".join(escaped)


def write(value):
    """The canonical text of what read() gave; Python integers and floats are taken too."""
    if isinstance(value, Number):
        return str(value)
    if isinstance(value, str):
        return string(value)
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return double(value)
    if isinstance(value, list):
        return "[" + ",".join(map(write, value)) + "]"
    names = sorted(value, key=lambda name: name.encode("utf-16-be"))
    return "{" + ",".join(string(name) + ":" + write(value[name]) for name in names) + "}"


def canonical(text):
    return write(read(text))
