"""Following in a process of its own, so that no tracker can slow a run down or end it.

`python -m aioli.trackers.process SOURCE ENTRIES` follows until its standard input ends, then passes on what
is left. Standard output carries JSON lines {"warning": text}; what trackers print goes to standard error.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any

from aioli.errors import InputError
from aioli.trackers.runs import find
from aioli.trackers.session import Session
from aioli.trackers.tracker import TrackerChoice, check_installed, read_choices

__all__ = ["Following", "follow_until"]

PERIOD = 2.0
"""Seconds between two looks at the files."""
PATIENCE = 60.0
"""Seconds that trackers may take to write out the rest when the job is over."""
KINDNESS = 10
"""How much less important than the training runs the process is (`nice`)."""


class Following:
    """Follows runs while the block is carried out; nothing that happens to trackers reaches the block.

    With a loop of your own, `source` is the path of the journal that your `Mixer` writes:

        with Following(Path("mixing.jsonl"), [TrackerChoice("wandb", {"project": "mine"})]):
            ...

    Args:
        source: an output directory, a run's directory, or a Mixer's journal, which may not be there yet.
        choices: where to; with none, nothing is started.
        warn: told, from another thread, of a tracker that failed; default: standard error.

    Raises:
        InputError: a tracker's package is missing.
    """

    def __init__(
        self,
        source: Path | str,
        choices: Sequence[TrackerChoice],
        warn: Callable[[str], None] = lambda text: print(f"note: {text}", file=sys.stderr),
    ) -> None:
        self.source, self.choices, self.warn = Path(source), list(choices), warn
        self._process: subprocess.Popen[str] | None = None
        self._warned = False
        check_installed(self.choices)

    def __enter__(self) -> Following:
        if self.choices:
            self._start()
        return self

    def _start(self) -> None:
        entries = json.dumps([choice.to_entry() for choice in self.choices])
        command = [sys.executable, "-m", "aioli.trackers.process", str(self.source.absolute()), entries]
        try:
            home = find(self.source).home
            home.mkdir(parents=True, exist_ok=True)
            with (home / "log.txt").open("ab") as log:
                self._process = subprocess.Popen(
                    command,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    text=True,
                    encoding="utf-8",
                    env=os.environ | {"OMP_NUM_THREADS": "1"},
                    start_new_session=True,  # Ctrl-C reaches the job, which then lets this process finish
                )
        except OSError as error:
            self.warn(f"nothing is tracked: {error}")
            return
        assert self._process.stdout is not None
        self._reader = threading.Thread(target=self._listen, args=(self._process.stdout,), daemon=True)
        self._reader.start()

    def _listen(self, stream: IO[str]) -> None:
        with stream:
            for line in stream:
                try:
                    self.warn(json.loads(line)["warning"])
                    self._warned = True
                except ValueError:
                    continue  # the last line of a killed process

    def __exit__(self, *_: object) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        try:
            assert process.stdin is not None
            process.stdin.close()
            code = process.wait(PATIENCE)
            self._reader.join(PATIENCE)
            told = f"its process ended with code {code}" if code and not self._warned else ""
        except subprocess.TimeoutExpired:
            told = f"the rest was not written within {PATIENCE:g} seconds"
        except OSError as error:
            told = str(error)
        finally:
            process.kill()
            process.wait()
        if told:
            home = find(self.source).home
            self.warn(f"tracking failed ({told}); see {home / 'log.txt'}. Nothing else is touched")


def follow_until(session: Session, over: threading.Event, period: float = PERIOD) -> None:
    """Poll until `over` is set, and once more; end where every tracker has failed."""
    while session.choices and not over.wait(period):
        session.poll()
    session.poll(last=True)


def main(arguments: Sequence[str]) -> int:
    """See the module."""
    os.nice(KINDNESS)
    channel = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def warn(text: str) -> None:
        try:
            channel.write(json.dumps({"warning": text}) + "\n")
            channel.flush()
        except OSError:
            print(text, file=sys.stderr)  # nobody listens any more

    over = threading.Event()
    threading.Thread(target=_wait_for_end, args=(over,), daemon=True).start()
    try:
        with Session(Path(arguments[0]), read_choices(json.loads(arguments[1])), warn) as session:
            follow_until(session, over)
    except (InputError, OSError) as error:
        warn(f"nothing is tracked: {error}")
        return 1
    return 0


def _wait_for_end(over: threading.Event) -> Any:
    sys.stdin.read()
    over.set()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
