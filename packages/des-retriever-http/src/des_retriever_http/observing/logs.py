"""Logs: one JSON object for each line, or text; both with the id of the request."""

from __future__ import annotations

import json
import logging
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

__all__ = ["REQUEST_ID", "JsonFormatter", "TextFormatter", "log_config"]

REQUEST_ID: ContextVar[str] = ContextVar("des_request_id", default="")
"""The id of the request that is being answered, or empty."""

# `color_message` is what uvicorn's own formatter shows, once more.
_STANDARD = frozenset(
    {*vars(logging.makeLogRecord({})), "message", "asctime", "taskName", "color_message", "request_id"}
)


def fields_of(record: logging.LogRecord) -> dict[str, Any]:
    """Return what a record says besides its message: its `extra`, and the request's id."""
    fields = {name: value for name, value in vars(record).items() if name not in _STANDARD}
    if request_id := getattr(record, "request_id", None) or REQUEST_ID.get():
        fields["request_id"] = request_id
    return fields


class JsonFormatter(logging.Formatter):
    """A record as one line of JSON: `time`, `level`, `logger`, `event`, and its fields."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
            **fields_of(record),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


class TextFormatter(logging.Formatter):
    """A record as a line to read, with its fields after it."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(message)s", "%H:%M:%S")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the name is that of `logging`
        fields = " ".join(f"{name}={json.dumps(value, default=str)}" for name, value in fields_of(record).items())
        return f"{super().formatMessage(record)}  {fields}".rstrip()


def log_config(style: str, level: str) -> dict[str, Any]:
    """Return a configuration of `logging` that writes everything to the standard error output.

    Args:
        style: `json` or `text`.
        level: The least level.
    """
    formatter = {"json": JsonFormatter, "text": TextFormatter}[style]
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"chosen": {"()": f"{formatter.__module__}.{formatter.__name__}"}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "chosen"}},
        "root": {"handlers": ["stderr"], "level": level.upper()},
    }
