"""The paper's study on real text: six settings, its methods, its questions (arXiv 2411.05735).

plan.py says what is run and what was published, stages.py runs it through `aioli`, store.py keeps finished
runs as small JSON lines, questions.py answers from those lines alone, and report.py writes page and table.
"""
