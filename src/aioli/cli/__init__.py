"""The command line, one verb a file; nothing heavy is imported before a verb runs."""

from aioli.cli.app import main

__all__ = ["main"]
