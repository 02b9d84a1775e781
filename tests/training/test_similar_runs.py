"""Runs whose mixture or prior is read from the texts when they start."""

import json
from dataclasses import replace

import numpy as np
import pytest

from aioli.data.shards import Corpus
from aioli.data.similarity import compare_corpus
from aioli.data.similarity_settings import SimilaritySettings
from aioli.errors import InputError
from aioli.methods.registry import complete
from aioli.training.loop import run_spec
from aioli.training.similar import check_contamination

FEW = {"buckets": 4096, "smoothing": 0.01}


@pytest.fixture
def spec_of(make_spec, corpus_with_target):
    def make(method: str, **settings):
        given = complete(method, settings.pop("parameters", {}))
        return make_spec(method, on=corpus_with_target, parameters=given, **settings)

    return make


def mixture_of(result: dict) -> np.ndarray:
    return np.array(result["proportions"]["values"][0], dtype=float)


def test_a_run_on_similar_records_what_it_used_and_resumes(spec_of, corpus_with_target, tmp_path):
    spec = spec_of("similar", parameters=FEW, checkpoint_every=7)
    whole = run_spec(spec, corpus_with_target, tmp_path / "whole")
    found = compare_corpus(corpus_with_target, SimilaritySettings(**FEW))
    assert whole["resolved"]["tau"] == {"news": found.tau[0]}
    told = whole["resolved"]["divergences"]["news"]
    assert list(told.values()) == found.divergences[0].tolist()
    weights = np.exp(-found.divergences[0] / found.tau[0])
    np.testing.assert_allclose(mixture_of(whole), weights / weights.sum(), atol=1e-4)
    assert whole["parameters"]["divergences"] is None

    def stop(state):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_spec(spec, corpus_with_target, tmp_path / "cut", on_progress=stop)
    again = run_spec(spec, corpus_with_target, tmp_path / "cut", resume=True)
    assert again["weights_sha256"] == whole["weights_sha256"]


def test_the_id_holds_the_fields_and_not_the_numbers(spec_of):
    plain, given = spec_of("similar"), spec_of("similar", parameters={"tau": 0.3})
    assert plain.id == spec_of("similar", parameters={"sample": 300_000}).id != given.id
    priors = ("similar", {"similar": FEW}, None)
    nested = [spec_of("aioli", parameters={"prior": prior}).id for prior in priors]
    assert len(set(nested)) == 3
    assert "prior" in spec_of("aioli").parameters, "the record of a run without similar is as it was"


def test_a_prior_becomes_proportions_that_the_method_starts_from(spec_of, corpus_with_target, tmp_path):
    parameters = {"prior": {"similar": FEW | {"tau": 1.0}}, "prior_steps": 10, "round_steps": 15}
    result = run_spec(spec_of("aioli", parameters=parameters), corpus_with_target, tmp_path / "run")
    static = run_spec(
        spec_of("similar", parameters=FEW | {"tau": 1.0}), corpus_with_target, tmp_path / "static"
    )
    prior = result["resolved"]["prior"]
    assert list(prior) == list(corpus_with_target.groups)
    np.testing.assert_allclose(list(prior.values()), mixture_of(static), atol=1e-4)
    assert prior["law"] != pytest.approx(prior["code"], abs=0.01)
    first = json.loads((tmp_path / "run" / "journal.jsonl").read_text().splitlines()[1])
    np.testing.assert_allclose(_proportions(first), list(prior.values()))


def _proportions(line: dict) -> list[float]:
    found = line.get("request") or line["record"]["request"]
    return found["proportions"]


def test_targets_that_are_the_groups_give_the_target_weights_and_a_note(make_spec, corpus, tmp_path):
    spec = make_spec("similar", parameters=complete("similar", FEW))
    result = run_spec(spec, corpus, tmp_path / "run")
    np.testing.assert_allclose(mixture_of(result), 1 / 3, atol=0.02)
    assert any("every group's text is nearest to itself" in text for text in result["warnings"])
    weighted = replace(spec, target_weights={"law": 1.0, "code": 0.0, "prose": 0.0})
    assert mixture_of(run_spec(weighted, corpus, tmp_path / "weighted"))[0] > 0.95


def test_contamination_is_refused_before_runs_that_use_similar(spec_of, corpus_with_target, tmp_path):
    corpus = _contaminated(corpus_with_target, tmp_path / "tokens")
    notes: list[str] = []
    check_contamination([spec_of("stratified"), spec_of("aioli")], corpus, notes.append)
    assert notes == []
    nested = spec_of("aioli", parameters={"prior": "similar"})
    for spec in (spec_of("similar"), nested):
        with pytest.raises(InputError, match=r"group 'code' holds .* target 'news'.*allow_contamination"):
            check_contamination([spec_of("stratified"), spec], corpus, notes.append)
    assert "of code holds" in notes[0] and "of news" in notes[0]
    allowed = spec_of("similar", parameters={"allow_contamination": True})
    check_contamination([allowed], corpus, notes.append)


def _contaminated(corpus: Corpus, directory) -> Corpus:
    """The corpus with the target's test split in the training split of a group, of the same size."""
    for name, splits in corpus.index["splits"].items():
        (directory / name).mkdir(parents=True)
        for split in splits:
            tokens = np.array(corpus.tokens(name, split))
            if (name, split) == ("code", "train"):
                leaked = corpus.tokens("news", "test")
                tokens[100 : 100 + leaked.size] = leaked
            tokens.tofile(directory / name / f"{split}.bin")
    (directory / "index.json").write_text(json.dumps(corpus.index))
    return Corpus.open(directory)
