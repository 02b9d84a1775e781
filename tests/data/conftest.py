"""Files of two small groups of text."""

from pathlib import Path

import pytest
from tests.data.small_texts import code, law, write_jsonl


@pytest.fixture
def base(tmp_path: Path) -> Path:
    write_jsonl(tmp_path / "law.jsonl", law())
    (tmp_path / "code").mkdir()
    for k, text in enumerate(code()):
        (tmp_path / "code" / f"{k:02d}.py").write_text(text)
    return tmp_path
