"""Spans of time and ports on command lines."""

from __future__ import annotations

import argparse

from lws.apimachinery.durations import parse_duration


def seconds(text: str) -> float:
    """Seconds from a number, or a duration as Go writes it, such as ``1m30s``."""
    try:
        return float(text)
    except ValueError:
        pass
    try:
        return float(parse_duration(text))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no span of time: write it as 90 or 1m30s") from error


def port(text: str) -> int:
    """A port to listen on; 0 stands for any."""
    if not (text.isascii() and text.isdigit() and int(text) <= 65535):
        raise argparse.ArgumentTypeError(f"{text!r} is no port: write a number from 0 to 65535")
    return int(text)
