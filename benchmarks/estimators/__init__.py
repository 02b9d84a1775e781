"""Fidelity against cost for every estimator.

compared.py names the estimators, __main__.py measures them, kept.py stores the lines, scores.py makes rows of
them, report.py the table and plot.py the picture.
"""
