"""The config, broken in every way: refused in one line, or accepted and then really valid."""

import copy
import dataclasses
import datetime
import math
import random
import re
import shutil
import unicodedata
from pathlib import Path
from textwrap import indent

import pytest
import yaml

from bitnet.config import run_names
from bitnet.config.load import read_project
from bitnet.config.recipe import Recipe
from bitnet.config.study import Study
from bitnet.config.thresholds import Thresholds
from bitnet.data.hub import HUB
from tests.config.test_study import RULES
from tests.helpers.project import ROOT, SNAKEMAKE, call, copy_project

# Studies that hold no key that the others have not would only make every mutation slower.
SPARE = "wd_fix_cpu|decay_2x2|long|price|portable|diagnostics|phase|scaling(_quick|_quick_sample)?"
SPARE += "|legacy(_quick|_sample)?"
FILES = [file for file in ROOT.glob("studies/*.yaml") if not re.fullmatch(SPARE, file.stem)]
STUDIES = [f"  {file.stem}:\n{indent(file.read_text(), '    ')}" for file in sorted(FILES)]
TEXT = (ROOT / "config.yaml").read_text()
TEXT = re.sub(rf", ({SPARE})\b", "", TEXT.replace("studies:\n", "\n".join(["studies:", *STUDIES])))
BARE = re.sub(r"(?m)^ *#.*\n| +#.*$", "", TEXT)  # in comments mutations do nothing
CONFIG = yaml.safe_load(TEXT)
MUTATIONS = 500  # of each seed
DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
JUNK = [None, True, False, -1, 0, 1, 2, 3, 64, 4096, 10**6, 10**12, -(10**30), 10**400, 2**63]
JUNK += [math.nan, math.inf, -math.inf, -0.0, -0.5, 0.5, 1.0, 1e-320, 1e38, 1e39, 1e308]
JUNK += ["", " ", "1", "5e-4", "010", "x" * 5_000, "\0", "a\nb", "wd_fix\n", "\u202e漢🙂"]
JUNK += ["auto", "figures", "data", "../..", "/x", "a b.model", "{a}.model", "t.model", "$x$", "-x"]
JUNK += [[], {}, [[]], [None], [1, 1], [64, "64"], [0.05, 0.050], {"a": 1}, {"": None}]
JUNK += [datetime.date(2024, 1, 1), [0, 2**53, 2**53 + 1], ["svg"], [0.05]]
SNIPPETS = [": ", "- ", "[", "]", "{", "}", "'", '"', "|", ">", "\t", "\0", "---\n", "...\n", "%"]
SNIPPETS += ["&a ", "*a", "<<: *a", "? ", "!!python/name:os.mkdir ", "!!binary ", "!!int ", "="]
SNIPPETS += [*"\u2028\u00a0\ufeff\x85é🙂0-.e_#\n~"]


def paths(tree, path=()):
    """Where every value of a tree stands."""
    if path:
        yield path
    if isinstance(tree, dict | list):
        for key, value in tree.items() if isinstance(tree, dict) else enumerate(tree):
            yield from paths(value, (*path, key))


def mutated_tree(rng: random.Random) -> tuple[str, list[str]]:
    """YAML with one value changed, and words of which a complaint must hold one."""
    config = copy.deepcopy(CONFIG)
    *parents, last = path = rng.choice(list(paths(config)))
    block = config
    for key in parents:
        block = block[key]
    old, junk = copy.deepcopy(block[last]), copy.deepcopy(rng.choice(JUNK))
    named, spelled = [key for key in path if isinstance(key, str)], yaml.safe_dump(junk)[:4]
    key = named[-1]
    kind = rng.choice(["replace"] * 4 + ["delete", "rename", "wrap", "nest", "add", "twice"])
    if kind == "replace":
        block[last] = junk
    elif kind == "delete":
        del block[last]
    elif kind == "wrap":
        block[last] = [old]
    elif kind == "nest":
        block[last] = {key: old}
    elif kind == "twice" and isinstance(block, list):
        block.append(old)
    elif isinstance(block, dict) and not isinstance(junk, list | dict):
        block[junk] = block.pop(last) if kind == "rename" else old
    words = [
        *named[-2:],
        f"{junk}:",
        *(w for w in (str(junk)[:20], repr(junk)[:20], spelled) if w[1:]),
    ]
    return yaml.dump(config, Dumper=DUMPER, sort_keys=False), words


def mutated_text(rng: random.Random) -> str:
    """config.yaml with a fault of the keyboard or of the disk."""
    lines = BARE.splitlines(keepends=True)
    i, j = rng.randrange(len(lines)), rng.randrange(len(lines))
    kind = rng.choice(["delete", "twice", "swap", "indent", "flip", "insert", "insert", "cut"])
    if kind == "delete":
        del lines[i : i + rng.randint(1, 3)]
    elif kind == "twice":
        lines.insert(rng.choice([i, j]), lines[i])
    elif kind == "swap":
        lines[i], lines[j] = lines[j], lines[i]
    elif kind == "indent":
        lines[i] = rng.choice([" ", "  ", "\t"]) + lines[i] if rng.random() < 0.5 else lines[i][2:]
    text = "".join(lines)
    at = rng.randrange(len(text))
    if kind == "flip":
        other = chr(rng.choice([rng.randrange(128), rng.randrange(0xD800)]))
        text = text[:at] + other + text[at + 1 :]
    elif kind == "insert":
        text = text[:at] + rng.choice(SNIPPETS) + text[at:]
    elif kind == "cut":
        text = text[:at]
    return text


def number(value, low: float, high: float, kinds=(int, float)) -> bool:
    return type(value) in kinds and low <= value <= high and math.isfinite(value)


def whole(value, low: int, high: int) -> bool:
    return number(value, low, high, (int,))


def line(value, most: int = 1_000) -> bool:
    """One line without controls, halves of characters or a turn of direction."""
    odd = {"Cc", "Cs", "Zl", "Zp", "LRE", "LRO", "RLE", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
    kinds = [f(char) for char in value for f in (unicodedata.category, unicodedata.bidirectional)]
    return type(value) is str and len(value) <= most and not odd & set(kinds)


def assert_valid(config: dict) -> None:
    """By hand what the pipeline relies on, apart from the schema."""
    names, verdict, figures = config["studies"], config["verdict"], config["figures"]
    assert set(config) <= {"corpus", "device", *CONFIG}
    assert config["main_study"] in names and config["study"] in ("auto", *names)
    assert all(re.fullmatch("[a-z][a-z0-9_]*", name) for name in (*names, *config["corpora"]))
    assert not set(names) & {*RULES, "auto", "data"}
    for source in config["corpora"].values():
        assert source["source"] in ("stories", "arithmetic", "files", *HUB)
        written = {"operators", "largest_operand", "pad", "reverse"}
        assert source["source"] == "arithmetic" or not written & set(source)
        assert all(type(source.get(key, True)) is bool for key in ("pad", "reverse"))
        assert set(source.get("operators", "+")) <= set("+-×÷") and source.get("operators") != []
        assert whole(source.get("largest_operand", 1), 1, 1_000)
        assert whole(source["train_bytes"], 1, 10**15)
        assert whole(source["validation_bytes"], 1, 10**15)
        assert number(source.get("validation_share", 0.1), 1e-4, 0.5)
        assert whole(source.get("seed", 0), 0, 2**32)
        assert source["source"] == "files" or not {"train", "column", "separator"} & set(source)
    assert {field.name for field in dataclasses.fields(Thresholds)} == set(verdict)
    assert all(number(value, 0, 1e38) for value in verdict.values())
    assert verdict["collapsed_below"] <= verdict["diverse_above"]
    assert line(figures["title"], 200) and whole(figures["dpi"], 1, 10_000)
    assert figures["formats"] and set(figures["formats"]) <= {"svg", "png", "pdf"}
    known = {f"{name}{on}" for name in names for on in ("", *(f"@{c}" for c in config["corpora"]))}
    assert {"full", "quick", "sample"} <= set(config["claims"])
    for scopes in (*config["claims"].values(), config["gpu_protocol"]):
        assert scopes and set(scopes) <= known
    experiments = {name: study.get("experiment") for name, study in names.items()}
    for scopes in config["sanity"].values():
        assert set(scopes.values()) <= known
        assert all(experiments[scope.partition("@")[0]] == kind for kind, scope in scopes.items())
    for name in names:
        assert_valid_study(Study.of(config, name))


def assert_valid_study(study: Study) -> None:
    settings = study.settings
    for key in ("gpu", "threads"):
        assert whole(settings[key], key != "gpu", 10**9)
    every = settings["checkpoint_every"]
    assert every is None or whole(every, 1, 10**9)
    assert re.fullmatch(r"(bpe|characters)\d+|[\w.+@=,-]+-\d+", study.tokenizer) and line(
        study.tokenizer
    )
    grid = settings["grid"]
    assert ("question" in settings) != ("experiment" in settings)
    if "question" in settings:
        question = study.question()
        assert {question.treatment, question.control} <= set(grid[question.axis.key])
        metric = settings["question"].get("metric", {"better": "lower", "margin": 1})
        assert metric["better"] in ("lower", "higher") and number(metric["margin"], 0, 1e38)
    names = study.runs()
    crossed = {"hidden_size", "stage2_weight_decay", "weights"}
    crossed.add(settings.get("question", {}).get("axis", "stage2_weight_decay"))
    arms = [len(grid.get(axis, [0])) for axis in crossed]
    points = math.prod(map(len, grid.values()))
    points += len(settings.get("variants", [])) * math.prod(arms)
    assert len(names) == len(set(names)) == settings["seeds"] * points
    for name in [*names[:3], *names[-2:]]:
        assert re.fullmatch(run_names.RUN, name) and len(name) < 150
        for recipe in (study.recipe(name), study.recipe(study.trunk(name))):
            assert_valid_recipe(recipe)


def assert_valid_recipe(recipe: Recipe) -> None:
    m, t = recipe.model, recipe.training
    for part in (m, t):
        for field in dataclasses.fields(part):
            value = getattr(part, field.name)
            allowed = getattr(field.type, "__args__", (field.type,))
            assert type(value) in allowed or field.name == "evaluate_at", field.name
            assert type(value) is not float or number(value, 0, 1.01e38), field.name
    assert m.hidden_size % m.num_heads == m.num_heads % m.num_kv_heads == 0
    assert m.hidden_size % (2 * m.num_heads) == 0 and 4 <= m.vocab_size <= 2**20
    assert 1 <= m.hidden_size <= 65_536 and 1 <= m.num_layers <= 1_024
    assert m.intermediate_size == pytest.approx(m.intermediate_ratio * m.hidden_size)
    assert 0 <= t.warmup_steps < t.lr_switch < t.steps <= 10**9 and 0 < t.wd_switch < t.steps
    assert 1 <= t.batch_size <= 2**20 and 2 <= t.sequence_length <= 2**20
    assert t.peak_lr > 0 and t.gradient_clip > 0 and max(t.beta1, t.beta2) < 1
    assert len(t.evaluation_steps(0, t.steps)) < 12_000
    assert all(whole(step, 0, t.steps) for step in t.evaluate_at)
    assert Recipe.from_json(recipe.to_json()) == recipe
    assert "Infinity" not in recipe.to_json() and "NaN" not in recipe.to_json()


def refusal(path: Path, text: str | bytes) -> str | None:
    """What is said of a config with all its studies, None where it is accepted and is valid."""
    path.write_bytes(text if isinstance(text, bytes) else text.encode(errors="surrogatepass"))
    try:
        config = read_project(ROOT, path)
    except ValueError as error:
        assert type(error) is ValueError, repr(error)
        said = str(error)
        assert said.isprintable() and len(said) < 500 and "allowed:" in said, said
        assert re.match(r"config\.yaml(, line \d+)?: ", said), said
        return said
    assert_valid(config)
    return None


def fuzz(folder: Path, seed: int, count: int) -> list[str | None]:
    """Complaints about `count` mutations, half of the tree and half of the text."""
    rng, said = random.Random(seed), []
    for i in range(count):
        text, words = mutated_tree(rng) if i % 2 else (mutated_text(rng), [""])
        try:
            said.append(refusal(folder / "config.yaml", text))
            assert said[-1] is None or any(word in said[-1] for word in words), (said[-1], words)
        except Exception as error:
            raise AssertionError(f"mutation {i} of seed {seed}: {error!r}") from error
    return said


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.often)])
def test_a_mutated_config_is_refused_in_one_line_or_valid(tmp_path, seed):
    refused = sum(map(bool, fuzz(tmp_path, seed, MUTATIONS)))
    assert MUTATIONS / 2 < refused < 0.95 * MUTATIONS  # so both halves of the oracle have work


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    return copy_project(tmp_path_factory.mktemp("project"))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a: [1\n",
        "a: !!python/object/apply:os.mkdir [made]",
        "[" * 100_000,
        TEXT.encode("utf-16"),
        TEXT.replace("  quick:\n", "  wd_fix:\n"),
        TEXT.replace("  quick:\n", "  figures:\n"),
        TEXT.replace("seeds: 3", "seeds: .nan"),
        TEXT + "__use_yte__: true\n",
    ],
    ids=["empty", "syntax", "tag", "deep", "utf16", "twice", "rule", "nan", "yte"],
)
def test_snakemake_says_one_line_and_makes_nothing(project, text):
    shutil.rmtree(project / "studies", ignore_errors=True)
    (project / "config.yaml").write_bytes(text if isinstance(text, bytes) else text.encode())
    done = call(project, SNAKEMAKE, "-n")
    said = [line for line in done.stderr.splitlines() if not line.startswith("Using workflow")]
    assert done.returncode != 0 and len(said) == 1 and said[0].startswith("config.yaml"), said
    assert "allowed:" in said[0] and not (project / "made").exists()


def test_a_file_given_to_snakemake_is_read_as_strictly(project):
    (project / "config.yaml").write_text(TEXT)
    (project / "mine.yaml").write_text("studies: {quick: {seeds: 3, seeds: 4}}")
    done = call(project, SNAKEMAKE, "-n", "--configfile", "mine.yaml")
    assert done.returncode != 0 and "mine.yaml: line 1 is" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
