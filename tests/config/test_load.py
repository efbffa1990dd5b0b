"""The whole config from its files: a study a file, what overrides it, where a fault stands."""

import re
import shutil

import pytest
import yaml
from jsonschema import Draft202012Validator
from referencing import Registry
from referencing.jsonschema import DRAFT202012

from bitnet.config.load import read_project
from bitnet.config.study import Study
from bitnet.config.yaml_file import read_yaml
from tests.helpers.project import (
    ROOT,
    SNAKEMAKE,
    TINY,
    call,
    copy_project,
    jobs,
    project_config,
    snakemake,
)


@pytest.fixture
def project(tmp_path):
    """What the config is read from, to be changed."""
    for name in ("studies", "workflow/schemas"):
        shutil.copytree(ROOT / name, tmp_path / name)
    shutil.copy(ROOT / "config.yaml", tmp_path)
    return tmp_path


def write(project, name: str, text: str, old: str | None = None):
    """A file, or another text in place of one that stands there once."""
    path = project / name
    if old is not None:
        before = path.read_text()
        assert before.count(old) == 1, f"{old!r} stands there {before.count(old)} times"
        text = before.replace(old, text)
    path.write_text(text)
    return path


def refusal(project, overrides=(), changes=None) -> str:
    with pytest.raises(ValueError) as error:
        read_project(project, overrides=overrides, changes=changes)
    said = str(error.value)
    assert said.isprintable() and "allowed: " in said
    return said


def test_a_file_dropped_in_studies_is_a_study(project):
    write(project, "studies/mine.yaml", "# Is one seed enough?\nbase: quick\nseeds: 1\n")
    config = read_project(project)
    mine, quick = config["studies"]["mine"], config["studies"]["quick"]
    assert mine == {**quick, "seeds": 1}
    assert {**config, "studies": {**config["studies"], "mine": None}} == {
        **project_config(),
        "studies": {**project_config()["studies"], "mine": None},
    }


def test_each_file_alone_is_what_an_editor_accepts():
    """By the schema that its first line names: yaml-language-server completes and checks by it."""
    files = [ROOT / "config.yaml", *sorted(ROOT.glob("studies/*.yaml"))]
    for file in files:
        first, second, *_ = file.read_text().splitlines()
        schema = file.parent / first.removeprefix("# yaml-language-server: $schema=")
        blocks = yaml.safe_load(schema.read_text())
        whole = yaml.safe_load((ROOT / "workflow/schemas/config.schema.yaml").read_text())
        registry = Registry().with_resource(
            "config.schema.yaml", DRAFT202012.create_resource(whole)
        )
        assert second.startswith("# ") and schema.is_file()
        Draft202012Validator(blocks, registry=registry).validate(yaml.safe_load(file.read_text()))
    assert len(files) > 20


def test_no_config_has_anchors_or_merge_keys():
    for file in [ROOT / "config.yaml", ROOT / "tests/tiny.yaml", *ROOT.glob("studies/*.yaml")]:
        read_yaml(file, file.name)  # refuses aliases and merge keys
        assert not re.search(r"[:-] &\w", file.read_text())


def test_what_is_no_study_may_lie_beside_one(project):
    for name in (".hidden.yaml", "README.md", "warmup.yaml~"):
        write(project, f"studies/{name}", "- 1\n")
    assert read_project(project) == project_config()


LINE = "studies/mine.yaml, line"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("# why\nbase: quick\nseeds: 0\n", f"{LINE} 3: seeds is 0; allowed: integer, at least 1"),
        (
            "base: quick\ntraining: {evaluate_every: 0}\n",
            f"{LINE} 2: training.evaluate_every is 0;",
        ),
        (
            "base: quick\n\ngird: {}\n",
            f"{LINE} 3: the study has the unknown key 'gird'; allowed: b",
        ),
        (
            "base: quick\ngrid:\n  width: [1]\n",
            f"{LINE} 3: grid has the unknown key 'width'; allow",
        ),
        ("# why\ncorpus: stories\n", f"{LINE} 2: grid is missing; allowed: only with a value"),
        (
            "base: quick\ngrid: {hidden_size: null}\n",
            f"{LINE} 2: grid.hidden_size is missing; allo",
        ),
        (
            "base: quick\nquestion:\n  treatment: 1\n",
            f"{LINE} 3: question.treatment is 1; allowed: ",
        ),
        ("base: quick\ncorpus: pile\n", f"{LINE} 2: corpus is 'pile'; allowed: one of stories"),
        (
            "base: quick\nvariants:\n- {lr_switch: 2000}\n",
            f"{LINE} 3: lr_switch is 2000; allowed: 1",
        ),
        (
            "base: quick\nquestion: null\n",
            f"{LINE} 1: question or experiment is []; allowed: one of",
        ),
        (
            "base: quick\ngrid: {peak_lr: [.nan]}\n",
            f"{LINE} 2: grid.peak_lr is nan; allowed: a fini",
        ),
        (
            "seeds: 1\nbase: quik\n",
            f"{LINE} 2: base is 'quik'; allowed: one of wd_fix, quick, arith",
        ),
        ("base: mine\n", f"{LINE} 1: base is 'mine'; allowed: a study that is not built on mine"),
        (
            "mine:\n  base: quick\n",
            f"{LINE} 1: the study has the unknown key 'mine'; allowed: base,",
        ),
        (
            "base: quick\nbase: wd_fix\n",
            "studies/mine.yaml: line 2 is 'base: wd_fix'; allowed: YAML,",
        ),
        ("seeds: 010\n", "studies/mine.yaml: line 1 is 'seeds: 010'; allowed: YAML, but no int"),
        ("", "studies/mine.yaml: the file is None; allowed: keys with values"),
        (
            "- base: quick\n",
            "studies/mine.yaml: the file is [{'base': 'quick'}]; allowed: keys with",
        ),
    ],
)
def test_a_wrong_file_is_refused_in_one_line_by_file_line_and_key(project, text, words):
    write(project, "studies/mine.yaml", text)
    assert refusal(project).startswith(words)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (
            "My-Study.yaml",
            "studies/My-Study.yaml, line 1: its name is 'My-Study'; allowed: at most",
        ),
        (
            "figures.yaml",
            "studies/figures.yaml, line 1: its name is 'figures'; allowed: none of all",
        ),
        ("auto.yaml", "studies/auto.yaml, line 1: its name is 'auto'; allowed: none of all, auto"),
        ("quick.yaml", "studies/quick.yaml: the study quick stands in config.yaml, line "),
        (
            "warmup.yml",
            "the name of a study's file is 'studies/warmup.yml'; allowed: studies/warmup.",
        ),
    ],
)
def test_a_file_is_refused_for_its_name(project, name, words):
    write(project, f"studies/{name}", "base: quick\n")
    assert refusal(project).startswith(words)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("batch_size: 4", "batch_size: 0", "studies.quick.training.batch_size is 0; allowed: int"),
        (
            "warmup_steps: 100",
            "warmup_steps: 1000",
            "studies.quick: warmup_steps is 1000; allowed:",
        ),
        (
            "weight_decay: 0.1",
            "weight_decay: x",
            "defaults.training.stage1_weight_decay is 'x'; al",
        ),
        (
            "below: 10 ",
            "below: 60 ",
            "verdict.collapsed_below is 60; allowed: at most diverse_above",
        ),
        (
            "wd_fix, legacy,",
            "wd_fix, legcy,",
            "claims.full is 'legcy'; allowed: one of wd_fix, qui",
        ),
        ("figures:", "figure:", "config has the unknown key 'figure'; allowed: study, main_study"),
    ],
)
def test_a_fault_of_config_yaml_is_blamed_on_its_line_whoever_is_built_on_it(
    project, old, new, words
):
    path = write(project, "config.yaml", new, old)
    line = path.read_text().split(new)[0].count("\n") + 1
    assert refusal(project).startswith(f"config.yaml, line {line}: {words}")


def test_what_is_missing_at_the_top_is_missing_in_config_yaml(project):
    write(project, "config.yaml", "", "main_study: wd_fix\n")
    other = write(project, "other.yaml", "study: quick\n")
    assert refusal(project, [other]).startswith(
        "config.yaml: config.main_study is missing; allowed"
    )


def test_the_last_override_counts_and_the_command_line_most(project):
    first = write(project, "first.yaml", "studies: {quick: {seeds: 4, gpu: 2}}\nfigures: {dpi: 99}")
    second = write(project, "second.yaml", "studies: {quick: {seeds: 5}, new: {base: warmup}}")
    config = read_project(project, overrides=[first, second], changes={"figures": {"dpi": 77}})
    quick, new = (Study.of(config, name).settings for name in ("quick", "new"))
    assert (quick["seeds"], quick["gpu"], config["figures"]["dpi"]) == (5, 2, 77)
    assert new["question"]["axis"] == "warmup_steps" and new["gpu"] == 2


def test_a_changed_base_changes_what_is_built_on_it_as_an_edit_would(project):
    change = "studies: {quick: {corpus: arithmetic, training: {steps: 1200}}}"
    overridden = read_project(project, overrides=[write(project, "mine.yaml", change)])
    write(project, "config.yaml", "steps: 1200\n", "steps: 2000\n")
    write(project, "config.yaml", "    corpus: arithmetic\n", "    corpus: stories\n")
    assert overridden == read_project(project)
    portable = Study.of(overridden, "portable")
    assert portable.corpus == "arithmetic" and portable.settings["training"]["steps"] == 1200
    assert Study.of(overridden, "warmup").settings["training"]["steps"] == 2000  # its own


def test_null_in_an_override_takes_back_what_a_study_has_of_its_base(project):
    change = write(
        project, "mine.yaml", "studies: {portable: {seeds: null, training: {steps: null}}}"
    )
    portable = Study.of(read_project(project, overrides=[change]), "portable")
    assert portable.settings["seeds"] == 5 and portable.settings["training"]["steps"] == 20_000


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("studies:\n  warmup: {seeds: 0}", "mine.yaml, line 2: studies.warmup.seeds is 0; allowed"),
        ("studies:\n  quick: {seeds: 0}", "mine.yaml, line 2: studies.quick.seeds is 0; allowed"),
        (
            "verdict: {x: 1}",
            "mine.yaml, line 1: verdict has the unknown key 'x'; allowed: collapsed",
        ),
        ("studies: 5", "mine.yaml, line 1: studies is 5; allowed: object"),
        ("a: 1\na: 2", "mine.yaml: line 2 is 'a: 2'; allowed: YAML, but no second 'a'"),
    ],
)
def test_a_fault_of_an_override_is_blamed_on_it(project, text, words):
    assert refusal(project, [write(project, "mine.yaml", text)]).startswith(words)


def test_a_fault_of_the_command_line_is_blamed_on_it(project):
    said = refusal(project, changes={"study": "nope"})
    assert said.startswith("--config: study is 'nope'; allowed: one of auto, wd_fix, quick")
    said = refusal(project, changes={"studies": {"phase": {"training": {"steps": 1}}}})
    assert said.startswith(
        "--config: studies.phase.training.steps is 1; allowed: integer, at least 2"
    )


def test_snakemake_builds_a_study_that_was_dropped_in_and_refuses_a_wrong_one(tmp_path):
    project = copy_project(tmp_path / "project")
    write(project, "studies/mine.yaml", "base: quick\nseeds: 2\n")
    assert (
        jobs(snakemake(project, "-n", "mine", *TINY))["train_trunk"] == 4
    )  # two optimizers, two seeds
    write(project, "more.yaml", "studies: {mine: {seeds: 3}}")
    assert jobs(snakemake(project, "-n", "mine", *TINY, "more.yaml"))["train_trunk"] == 6
    write(project, "studies/mine.yaml", "base: quick\nseeds: two\n")
    done = call(project, SNAKEMAKE, "-n", "quick")
    last = done.stderr.splitlines()[-1]
    assert done.returncode != 0 and last.startswith(
        "studies/mine.yaml, line 2: seeds is 'two'; all"
    )
