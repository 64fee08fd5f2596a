"""Durations, numbers and ports on command lines."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from lws.apimachinery.durations import parse_duration
from lws_sandbox.ranges import SECONDS, Range


def seconds(text: str) -> float:
    """Seconds from a number, or a duration as Go writes it, such as ``1m30s``."""
    try:
        value = float(text)
    except ValueError:
        try:
            value = float(parse_duration(text))
        except ValueError as error:
            raise argparse.ArgumentTypeError(f"{text!r} is not a duration: write it as 90 or 1m30s") from error
    if value not in SECONDS:
        raise argparse.ArgumentTypeError(f"{text!r} is out of range: give seconds {SECONDS}")
    return value


def number(within: Range) -> Callable[[str], float]:
    """A number within a range."""

    def parse(text: str) -> float:
        try:
            value = float(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(f"{text!r} is not a number") from error
        if value not in within:
            raise argparse.ArgumentTypeError(f"{text!r} is out of range: give a number {within}")
        return value

    return parse


def integer(within: Range) -> Callable[[str], int]:
    """A whole number within a range."""

    def parse(text: str) -> int:
        digits = text.removeprefix("-")
        if not (digits.isascii() and digits.isdigit() and len(digits) < 20 and int(text) in within):
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number {within}")
        return int(text)

    return parse


def port(text: str) -> int:
    """A port to listen on; 0 stands for any."""
    if not (text.isascii() and text.isdigit() and int(text) <= 65535):
        raise argparse.ArgumentTypeError(f"{text!r} is not a port: write a number from 0 to 65535")
    return int(text)
