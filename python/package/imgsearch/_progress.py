"""What long operations report, and how it is shown."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TypeAlias

Report: TypeAlias = Callable[[str, int, int], object]
"""Called with the name of a stage, how much of it is done and of how much (0 if that is unknown). What people should
know, such as a file that cannot be decoded, comes as `report("note", text, 0)`."""

Native: TypeAlias = "Callable[[str, int | str, int], object]"


class Bar:
    """A line on standard error that says how far a stage is."""

    def __init__(self) -> None:
        self._stage = ""
        self._length = 0
        self._shown = 0.0
        self._is_terminal = sys.stderr.isatty()

    def __call__(self, stage: str, done: int | str, of: int) -> None:
        if stage == "note":
            self._erase()
            print(done, file=sys.stderr)
            return
        assert isinstance(done, int)
        is_over = done >= of > 0
        now = time.monotonic()
        if (
            stage == self._stage
            and not is_over
            and now - self._shown < (0.1 if self._is_terminal else 10.0)
        ):
            return
        if not of and not done:
            return
        self._stage, self._shown = stage, now
        share = f"{done:,} of {of:,}" if of else f"{done:,}"
        line = f"{stage} {share}"
        if not self._is_terminal:
            print(line, file=sys.stderr)
            return
        self._erase()
        sys.stderr.write(line)
        sys.stderr.flush()
        self._length = len(line)

    def _erase(self) -> None:
        if self._length:
            sys.stderr.write("\r" + " " * self._length + "\r")
            self._length = 0

    def close(self) -> None:
        """Ends the line."""
        self._erase()
        sys.stderr.flush()


class Reporting:
    """Makes a report of an argument `progress`, and ends it.

    As a context, it gives what the native part calls; `None` for nothing.
    """

    def __init__(self, progress: bool | Report) -> None:
        self._bar = Bar() if progress is True else None
        self._report = progress if callable(progress) else None

    def __enter__(self) -> Native | None:
        return self._bar or self._report  # type: ignore[return-value]

    def __exit__(self, *_: object) -> None:
        if self._bar:
            self._bar.close()
