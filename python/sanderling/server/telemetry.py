"""Logging set-up: structured, to stderr, with secrets taken out of every line whatever field they are in."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any, Literal, TextIO

import structlog

__all__ = ["LogFormat", "configure_logging", "redact", "redact_processor", "redact_text"]

LogFormat = Literal["console", "json"]

MASK = "***"

_SECRET_FIELDS = re.compile(
    r"(token|app_?sign|server_?secret|admin_?secret|secret|password|credential|authorization|ice_?pwd|app_?key)$",
    re.IGNORECASE,
)

_SECRET_TEXT: tuple[tuple[re.Pattern[str], str], ...] = (
    # The password of an ICE agent, in SDP as it is or escaped inside JSON.
    (re.compile(r"(a=ice-pwd:)[^\s\\\"']+"), rf"\1{MASK}"),
    # Token04: version, then Base64 that begins with the high bytes of the expiry, which are 0 until the year 36812.
    (re.compile(r"\b0[34]AAAAA[A-Za-z0-9+/=]{16,}"), MASK),
    (
        re.compile(
            r"(?i)((?:server_?secret|admin_?secret|app_?sign|token|password|credential)[\"']?\s*[:=]\s*[\"']?)[^\s\"',}&]+"
        ),
        rf"\1{MASK}",
    ),
    (re.compile(r"\b[0-9a-fA-F]{64}\b"), MASK),
)


def redact_text(text: str) -> str:
    """Return ``text`` with tokens, AppSigns, named secrets and ICE passwords masked."""
    for pattern, replacement in _SECRET_TEXT:
        text = pattern.sub(replacement, text)
    return text


def redact(value: Any) -> Any:
    """Return ``value`` with secrets masked, in nested mappings and sequences too."""
    if isinstance(value, str):
        return redact_text(value)
    if isinstance(value, bytes):
        return redact_text(value.decode(errors="replace"))
    if isinstance(value, Mapping):
        return {
            key: MASK if isinstance(key, str) and _SECRET_FIELDS.search(key) and item else redact(item)
            for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [redact(item) for item in value]
    return value


def redact_processor(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A structlog processor: the event with secrets masked."""
    clean = redact(event)
    assert isinstance(clean, dict)
    return clean


def configure_logging(
    format: LogFormat = "console", level: str = "info", *, stream: TextIO | None = None
) -> None:
    """Send structlog and the standard library's logging to ``stream`` (stderr), one line an event, secrets masked."""
    number = logging.getLevelNamesMapping()[level.upper()]
    target = stream if stream is not None else sys.stderr
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        # Exceptions become text before the mask, so that what they quote is masked too.
        structlog.processors.format_exc_info,
        redact_processor,
    ]
    renderer: structlog.typing.Processor
    if format == "json":
        renderer = structlog.processors.JSONRenderer()
    else:
        renderer = structlog.dev.ConsoleRenderer(colors=target.isatty())
    structlog.configure(
        processors=[*shared[:2], *shared[3:], renderer],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.WriteLoggerFactory(file=target),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(target)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                redact_processor,
                renderer,
            ],
        )
    )
    root = logging.getLogger()
    for old in tuple(root.handlers):
        if isinstance(old.formatter, structlog.stdlib.ProcessorFormatter):
            root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(max(number, logging.INFO))
    # One line per request or migration step is the access log's and Alembic's idea of useful, not an operator's.
    for name in (
        "uvicorn.access",
        "uvicorn.error",
        "alembic",
        "sqlalchemy",
        "aiosqlite",
        "websockets",
        "asyncio",
    ):
        logging.getLogger(name).setLevel(max(number, logging.WARNING))
