"""Fitting static laws to tables of runs: choice of the law, intervals, and how far to trust the result."""
