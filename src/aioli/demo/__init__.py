"""The embedded demo: its corpus is built from installed packages."""
