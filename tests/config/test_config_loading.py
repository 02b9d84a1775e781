"""Reading configs: what a file may say, and every way to get it wrong."""

import json
from importlib.resources import files
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from aioli.config import Config, load, schema, to_yaml
from aioli.config.overrides import apply_overrides
from aioli.config.yaml_text import dump_yaml, parse_yaml
from aioli.errors import InputError

GROUPS = "data:\n  groups:\n    law: {paths: ['law/*']}\n    code: {paths: [code]}\n"
ROOT = Path(__file__).parents[2]


@pytest.fixture
def read(tmp_path):
    def read(text: str, *overrides: str) -> Config:
        path = tmp_path / "mix.yaml"
        path.write_text(text)
        return load(path, overrides)

    return read


def refused(read, text: str, *overrides: str) -> str:
    with pytest.raises(InputError) as caught:
        read(text, *overrides)
    return str(caught.value)


def test_only_groups_are_needed(read, tmp_path):
    config = read(GROUPS)
    assert config.title == "mix"
    assert config.base == tmp_path
    assert config.targets == ("law", "code")
    assert [choice.label for choice in config.methods] == ["stratified", "matched", "aioli"]
    assert config.seeds == (0, 1, 2, 3, 4)
    assert config.objective == "mean_loss"


def test_a_mapping_is_read_like_a_file():
    config = load({"data": {"groups": {"law": {"paths": ["x"]}}}}, ["train.steps=200"])
    assert config.train.steps == 200
    assert config.base == Path.cwd()


def test_methods_with_parameters_and_labels(read):
    config = read(GROUPS + "methods: [stratified, {aioli: {eta: 0.5}}, {aioli: {eta: 1}, label: hot}]\n")
    assert [choice.label for choice in config.methods] == ["stratified", "aioli(eta=0.5)", "hot"]
    assert config.methods[2].parameters == {"eta": 1}


def test_the_resolved_config_reads_back_as_the_same(read, tmp_path):
    text = GROUPS + "title: '1e3'\nmethods: [{aioli: {eta: 0.5}, label: 'no'}]\ndata2: 0\n"
    config = read(text.replace("data2: 0\n", ""), "data.tokens=kept", "target_weights={law: 1, code: 2}")
    elsewhere = tmp_path / "elsewhere" / "resolved.yaml"
    elsewhere.parent.mkdir()
    elsewhere.write_text(to_yaml(config))
    again = load(elsewhere)
    assert again.to_dict(absolute=True) == config.to_dict(absolute=True)
    assert (again.title, again.methods[0].label) == ("1e3", "no")


def test_norwegian_numbers_and_names_mean_what_they_look_like():
    parsed = parse_yaml("no: 1e-3\n2020: 1e3\n1.0: yes\ntime: 1:30\nzip: 010\non: true\nday: 2024-01-01", "x")
    assert parsed == {
        "no": 1e-3, "2020": 1000, "1.0": "yes", "time": "1:30", "zip": "010", "on": True, "day": "2024-01-01",
    }  # fmt: skip
    assert isinstance(parsed["2020"], int)


def test_merge_keys_and_anchors(read):
    config = read(
        "base: &b {text_field: body}\n" * 0 + GROUPS.replace("{paths: [code]}", "&c {paths: [code]}")
    )
    assert config.data.groups["code"].paths == ("code",)
    assert parse_yaml("a: &a {x: 1, y: 2}\nb: {<<: *a, y: 3}", "x")["b"] == {"x": 1, "y": 3}


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text("abc01e.-+:~ ynN"),
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.text("ab01.", min_size=1), inner, max_size=3)
        ),
        max_leaves=8,
    )
)
def test_dumped_yaml_reads_back(value):
    assert parse_yaml(dump_yaml(value), "x") == value


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty: expected at least data.groups"),
        ("- a", "expected a mapping with keys such as data, got list"),
        ("data: {groups: {}}", "data.groups is empty"),
        ("model: {layers: 2}", "data is missing: expected a mapping with keys such as groups"),
        ("a: [1\nb: 2", "line 2, column 2: not valid YAML"),
        ("a: 1\n\tb: 2", "line 2"),
        ("a: !!python/object:os.system x", "not valid YAML"),
        ("a: *b", "line 1, column 4: not valid YAML"),
        ("? [a]\n: 1", "a key must be plain text"),
        (GROUPS + "train: {steps: 3, steps: 4}", "column 19: not valid YAML: the key 'steps' is given twice"),
        (GROUPS + "data: {}", "line 5, column 1: not valid YAML: the key 'data' is given twice"),
        (GROUPS + "trian: {}", "unknown key trian; did you mean 'train'?"),
        (GROUPS + "train: {stepz: 3}", "unknown key train.stepz; did you mean 'steps'?"),
        ("data: {groups: {law: {paths: [x], pahts: [y]}}}", "unknown key data.groups.law.pahts"),
        (GROUPS + "train: {steps: ten}", "train.steps: expected a whole number, got 'ten' (text)"),
        (GROUPS + "train: {steps: 2.5}", "train.steps: expected a whole number, got 2.5 (a number)"),
        (GROUPS + "train: {steps: true}", "train.steps: expected a whole number, got True"),
        (GROUPS + "train: {learning_rate: high}", "learning_rate: expected a number, got 'high' (text)"),
        (GROUPS + "train: {learning_rate: .nan}", "train.learning_rate must be positive, got nan"),
        (GROUPS + "train: {device: tpu}", "train.device: expected 'auto' or 'cpu' or 'cuda', got 'tpu'"),
        (GROUPS + "train: 3", "train: expected a mapping with keys such as steps"),
        (GROUPS + "train:", "got nothing (an empty value)"),
        (GROUPS + "train: {steps: -3}", "train.steps must be at least 1, got -3"),
        (GROUPS + "train: {steps: 50, warmup: 50}", "train.warmup must be shorter than train.steps"),
        (GROUPS + "evaluation: {sequences: few}", "expected a whole number or 'auto', got 'few'"),
        (GROUPS + "model: {width: 30}", "model.width must be a multiple of model.heads"),
        ("data: {groups: {law: {paths: x}}}", "data.groups.law.paths: expected a list of text, got 'x'"),
        ("data: {groups: {law: }}", "data.groups.law: expected a mapping with keys such as paths"),
        ("data: {groups: {a/b: {paths: [x]}}}", "names are letters, digits"),
        (GROUPS + "seeds: 3", "seeds: expected a list of whole numbers, got 3"),
        (GROUPS + "seeds: [1, 1]", "seeds must be one or more different whole numbers >= 0, got [1, 1]"),
        (GROUPS + "seeds: []", "seeds must be one or more"),
        (GROUPS + "objective: mean", "unknown objective 'mean'; did you mean 'mean_loss'?"),
        (GROUPS + "target_weights: {lwa: 1}", "unknown target 'lwa'; did you mean 'law'?"),
        (GROUPS + "target_weights: {law: 1}", "target_weights needs every target; missing: code"),
        (GROUPS + "target_weights: {law: x, code: 1}", "target_weights.law: expected a number"),
        (GROUPS + "target_weights: {law: -1, code: 1}", "target_weights must be >= 0"),
        (GROUPS + "methods: []", "methods is empty"),
        (GROUPS + "methods: [stratfied]", "unknown method 'stratfied'; did you mean 'stratified'?"),
        (GROUPS + "methods: [{aioli: {etta: 1}}]", "has no parameter 'etta'; did you mean 'eta'?"),
        (GROUPS + "methods: [{aioli: {eta: hot}}]", "'hot'"),
        (GROUPS + "methods: [{aioli: {}, stratified: {}}]", "methods.0: expected a name, {name: {parameter"),
        (GROUPS + "methods: [3]", "methods.0: expected a name"),
        (GROUPS + "methods: [stratified, stratified]", "methods has 'stratified' twice"),
        (GROUPS + "methods: [static]", "needs proportions"),
        (GROUPS + "methods: [{static: {proportions: [0.5, 0.7]}}]", "must sum to 1"),
        (GROUPS + "methods: [{static: {proportions: [1.5, -0.5]}}]", "must not be negative"),
        (GROUPS + "methods: [{static: {proportions: [.nan, 1]}}]", "must be finite"),
        (GROUPS + "methods: [{static: {proportions: [1]}}]", "expected 2 proportions"),
        (GROUPS + "methods: [{static: {proportions: {law: 0.5, cod: 0.5}}}]", "did you mean 'code'?"),
    ],
)  # fmt: skip
def test_mistakes_are_named(read, text, said):
    assert said in refused(read, text)


def test_all_problems_are_told_at_once(read):
    said = refused(read, GROUPS + "train: {stepz: 3, batch: x}\nmodle: {}\n")
    assert "3 problems" in said
    assert "train.stepz" in said
    assert "train.batch" in said
    assert "modle" in said


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(InputError, match="no such config file"):
        load(tmp_path / "none.yaml")
    with pytest.raises(InputError, match="got the directory"):
        load(tmp_path)
    (tmp_path / "binary.yaml").write_bytes(b"a: \xff\xfe")
    with pytest.raises(InputError, match="expected UTF-8 text, got a byte 0xff"):
        load(tmp_path / "binary.yaml")


def test_overrides_reach_every_key(read):
    config = read(
        GROUPS.replace("code", "c4.en"),
        "train.steps=1e2",
        "train.warmup=10",
        "data.groups.c4.en.paths=[a, b]",
        "data.split.test=0.2",
        "seeds=[7, 8]",
        "seeds.1=9",
        "methods=[{aioli: {eta: 2}}]",
        "title=a=b",
    )
    assert config.train.steps == 100
    assert config.data.groups["c4.en"].paths == ("a", "b")
    assert config.data.split.test == 0.2
    assert config.seeds == (7, 9)
    assert config.methods[0].parameters == {"eta": 2}
    assert config.title == "a=b"


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("train.steps", "--set needs key=value, such as train.steps=200, got 'train.steps'"),
        ("=3", "--set needs key=value"),
        ("train..steps=3", "--set needs key=value"),
        ("train.stepz=3", "unknown key train.stepz; did you mean 'steps'?"),
        ("modle.layers=3", "unknown key modle; did you mean 'model'?"),
        ("train.steps=[1", "--set train.steps=[1, line 1"),
        ("title.x=1", "title is the value 'mix' and has no keys below it"),
        ("seeds.5=1", "seeds is a list of 2; use a number from 0 to 1"),
        ("seeds.first=1", "seeds is a list of 2"),
    ],
)
def test_wrong_overrides(read, override, said):
    assert said in refused(read, GROUPS + "title: mix\nseeds: [0, 1]\n", override)


def test_overrides_leave_the_original_alone():
    raw = {"train": {"steps": 5}}
    apply_overrides(raw, ["train.steps=6"])
    assert raw == {"train": {"steps": 5}}


def test_the_shipped_schema_is_the_code_s():
    shipped = json.loads(files("aioli.config").joinpath("config.schema.json").read_text())
    assert shipped == json.loads(json.dumps(schema())), (
        "run: python -m aioli.config > src/aioli/config/config.schema.json"
    )


def test_the_example_says_every_key_with_its_default():
    example = load(ROOT / "examples" / "config.yaml").to_dict()
    given = yaml.safe_load((ROOT / "examples" / "config.yaml").read_text())
    assert set(given) == set(example)
    for section in ("data", "model", "train", "evaluation", "constraints"):
        assert set(given[section]) == set(example[section])
    defaults = load({"data": {"groups": {"law": {"paths": ["x"]}}}}).to_dict()
    for section in defaults:
        if section not in ("data", "title", "methods"):
            assert example[section] == defaults[section]


def test_the_demo_config_is_valid():
    text = files("aioli.demo").joinpath("config.yaml").read_text()
    assert len(load(parse_yaml(text, "demo")).data.groups) == 7


@pytest.mark.parametrize(
    "methods",
    [
        "[stratified, {stratified: {}, label: again}]",
        "[{temperature: {}, label: stratified}, {temperature: {tau: 2.0}, label: again}]",
        "[{temperature: {tau: 2}, label: stratified}, {temperature: {tau: 2.0}, label: again}]",
    ],
)
def test_one_method_under_two_labels(read, methods):
    said = refused(read, GROUPS + f"methods: {methods}\n")
    assert "'stratified' and 'again' are the same" in said


def test_the_resolved_config_finds_a_tokenizer_from_anywhere(read, tmp_path):
    (tmp_path / "tokenizer.json").write_text("{}")
    resolved = read(GROUPS, "data.tokenizer.path=tokenizer.json").to_dict(absolute=True)
    assert resolved["data"]["tokenizer"]["path"] == str(tmp_path / "tokenizer.json")
    cached = read(GROUPS, "data.tokenizer.path=some/name").to_dict(absolute=True)
    assert cached["data"]["tokenizer"]["path"] == "some/name"
