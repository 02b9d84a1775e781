"""The paper's study on real text: six settings, its methods, its questions (arXiv 2411.05735).

plan.py says what is run and what was published, stages.py runs it through `aioli`, and store.py keeps
finished runs as small JSON lines. From those alone questions.py answers (differences.py between methods,
law_quality.py on laws), sentences.py puts it into words, and report.py and page.py write table and page.
"""
