"""Runs found by the hash of their spec, and one process at a time in a directory."""

import json
import multiprocessing
import subprocess
import sys
from dataclasses import replace

import pytest

from aioli import locks
from aioli.errors import InputError
from aioli.sweep.spec import RunSpec
from aioli.sweep.store import Store, read_spec
from aioli.training.settings import TrainSettings

SPEC = RunSpec("aioli", "0123456789abcdef", seed=3, parameters={"eta": 0.5}, label="Aioli")


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(locks, "PATIENCE", 0.3)


def finish(store: Store, spec: RunSpec, **changed: object) -> None:
    result = {"version": 1, "id": spec.id, "label": "old", "seed": spec.seed} | changed
    (store.prepare(spec) / "result.json").write_text(json.dumps(result))


def test_a_spec_survives_the_disk(tmp_path):
    spec = replace(SPEC, train=TrainSettings(steps=7, warmup=2), target_weights={"law": 2.0})
    with Store(tmp_path / "o") as store:
        assert read_spec(store.prepare(spec)) == spec
        (store.directory(spec) / "spec.json").write_text('{"method": "aioli"}')
        with pytest.raises(InputError, match="is not a run specification"):
            read_spec(store.directory(spec))
    with pytest.raises(InputError, match=r"spec\.json is missing"):
        read_spec(tmp_path)


def test_a_finished_run_is_found_under_its_present_label(tmp_path):
    with Store(tmp_path / "o") as store:
        assert store.result(SPEC) is None
        finish(store, SPEC)
        assert store.result(SPEC)["label"] == "Aioli"
        assert store.result(replace(SPEC, label="new"))["label"] == "new"
        assert store.result(replace(SPEC, label=""))["label"] == "aioli"
        assert store.result(replace(SPEC, seed=4)) is None


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b'{"version": 1}', b"\xff", b'{"version": 9, "id": "x"}']
)
def test_an_unusable_result_is_named_and_kept(tmp_path, content):
    with Store(tmp_path / "o") as store:
        path = store.prepare(SPEC) / "result.json"
        path.write_bytes(content)
        with pytest.raises(InputError, match=r"result\.json"):
            store.result(SPEC)
        assert store.set_aside(SPEC).read_bytes() == content
        assert store.result(SPEC) is None


def test_a_used_directory_needs_resume(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match=r"is used \(it holds notes\.txt\): continue it with --resume"):
        Store(tmp_path)
    assert not (tmp_path / locks.LOCK).exists()
    Store(tmp_path, resume=True).close()
    Store(tmp_path, ignore=("notes.txt",)).close()


def test_places_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="is a file"):
        Store(tmp_path / "file")
    with pytest.raises(InputError, match="cannot write to the directory"):
        Store(tmp_path / "file" / "below")


def test_a_second_process_is_refused_until_the_first_ends(tmp_path, impatient):
    code = (
        "import sys; from pathlib import Path; from aioli.sweep.store import Store\n"
        "store = Store(Path(sys.argv[1])); print('held', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "o")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(InputError, match=rf"another process \(id {holder.pid}\) is working in"):
            Store(tmp_path / "o")
        holder.kill()
        holder.wait()
        Store(tmp_path / "o").close()
    assert multiprocessing.active_children() == []


def test_an_orphan_that_inherited_the_lock_keeps_it(tmp_path, impatient):
    store = Store(tmp_path / "o")
    orphan = subprocess.Popen(
        [sys.executable, "-c", "input()"], stdin=subprocess.PIPE, pass_fds=(store.lock.descriptor,)
    )
    with orphan:
        store.close()
        with pytest.raises(InputError, match="another process"):
            Store(tmp_path / "o")
        orphan.communicate(b"\n")
    Store(tmp_path / "o").close()
