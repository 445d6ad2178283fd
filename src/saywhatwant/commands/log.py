"""The log of a command: one line per event on standard error, also for events that libraries log.

structlog writes the lines. Importing it takes longer than the rest of a server's start, so it is imported with the first
line, or by the bot.
"""

import logging
import sys
from functools import cached_property


def set_up_log() -> None:
    """Send the log to standard error.

    Handlers of ``logging`` drop lines that cannot be written (a full disk, a closed pipe), so a log never ends a command.
    """
    logging.raiseExceptions = False
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Formatter())
    logging.basicConfig(handlers=[handler], level=logging.WARNING)
    logging.getLogger("saywhatwant").setLevel(logging.INFO)


def set_level(level: str) -> None:
    """Log our own lines from this level on."""
    logging.getLogger("saywhatwant").setLevel(level.upper())


def set_up_structlog() -> None:
    """Send events logged with structlog to the same place."""
    import structlog

    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="%H:%M:%S", utc=False),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=lambda *_: logging.getLogger("saywhatwant"),
    )


class _Formatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return self._structlog.format(record)

    @cached_property
    def _structlog(self) -> logging.Formatter:
        """Tracebacks omit the values of variables, which may contain what people wrote."""
        import structlog

        return structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[
                structlog.processors.add_log_level,
                structlog.processors.TimeStamper(fmt="%H:%M:%S", utc=False),
            ],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.dev.ConsoleRenderer(
                    colors=sys.stderr.isatty(), pad_event_to=0, exception_formatter=structlog.dev.plain_traceback
                ),
            ],
        )
