"""Whole jobs from a config to results; what `aioli.compare`, `aioli.train` and the command line call."""
