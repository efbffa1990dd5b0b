"""Damaged files: found before they are used, named in one line, made again by their rule."""

import json
import random
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import chdir, contextmanager
from pathlib import Path

import pytest
import torch

from bitnet.checkpoint import load_state, load_weights, save_state
from bitnet.config import ModelConfig, Recipe, TrainConfig
from bitnet.tensors import load_tensors
from bitnet.transformer import Transformer
from tests.test_pipeline import ENVIRONMENT, ROOT, SNAKEMAKE, call, copy_project, snakemake
from workflow.scripts import (
    evaluate,
    manifest,
    provenance,
    references,
    shards,
    text,
    tokenizer,
    train,
    verdict,
)
from workflow.scripts.cli import run

MUTATIONS = 28  # of each file: 504 in all
PATIENCE = 20.0  # seconds, for what takes a fraction of one


def recipe(stage2: float | None, **changes) -> str:
    settings = {"optimizer": "adamw", "peak_lr": 1e-2, "switch_lr": 5e-3, "final_lr": 1e-4}
    settings |= {"steps": 40, "batch_size": 2, "sequence_length": 32, "warmup_steps": 4}
    settings |= {"stage1_weight_decay": 0.1, "stage2_weight_decay": stage2, "evaluate_every": 10}
    return Recipe(ModelConfig(512, 16, 1), TrainConfig(**{**settings, **changes})).to_json()


def read_weights(_: list[str]) -> None:
    """What a user does who runs the weights elsewhere."""
    model = Transformer(ModelConfig(512, 16, 1), 32)
    load_weights(model, "h16.safetensors")
    Path("out/weights").write_bytes(b"".join(p.detach().numpy() for p in model.parameters()))


STORIES = '{"source":"stories","seed":0,"train_bytes":200000,"validation_bytes":40000}'
TEXT = "--train {0}train.parquet --validation {0}validation.parquet"
TRAIN = "--manifest manifest.json --device cpu --checkpoint-every 7 --log log"
BRANCH = f"{TRAIN} --trunk h16.trunk.safetensors"
TABLE = (
    "--observations {0}.observations.safetensors --manifest manifest.json"
    " --references references.json --output out/{0}.csv"
)
QUESTION = (
    '{"treatment":0,"control":0.1,'
    '"headline":{"hidden_size":16,"optimizer":"adamw","weights":"ternary"}}'
)
# Every step of the pipeline, in order; each reads what lies in its folder and writes to out/.
STEPS = {
    "text": (text.main, f"--source {STORIES} {TEXT.format('out/')}"),
    "tokenizer": (
        tokenizer.main,
        "--text train.parquet --vocab-size 512 --output out/tokenizer.model",
    ),
    "shards": (
        shards.main,
        f"{TEXT.format('')} --tokenizer tokenizer.model --output out/shards.json",
    ),
    "manifest": (
        manifest.main,
        "--shards shards.json --tokenizer tokenizer.model --sequence-length 32"
        " --output out/manifest.json",
    ),
    "references": (references.main, "--manifest manifest.json --output out/references.json"),
    "trunk": (train.main, f"{TRAIN} --recipe {recipe(None)} --output out/h16"),
    "branch0": (train.main, f"{BRANCH} --recipe {recipe(0)} --output out/h16_wd0"),
    "branch0.1": (train.main, f"{BRANCH} --recipe {recipe(0.1)} --output out/h16_wd0.1"),
    "table0": (evaluate.main, TABLE.format("h16_wd0")),
    "table0.1": (evaluate.main, TABLE.format("h16_wd0.1")),
    "verdict": (
        verdict.main,
        f"--inputs h16_wd0.csv h16_wd0.1.csv --question {QUESTION}"
        " --csv out/verdict.csv --markdown out/verdict.md",
    ),
    "list": (
        provenance.main,
        "--inputs h16_wd0.provenance.json verdict.provenance.json --output out/list.json",
    ),
    "weights": (read_weights, ""),
}
# Which step is the first to read a file.
READERS = {
    "train.parquet": "tokenizer",
    "train.parquet.json": "tokenizer",
    "validation.parquet": "shards",
    "validation.parquet.json": "shards",
    "tokenizer.model": "shards",
    "tokenizer.model.json": "manifest",
    "shards.json": "manifest",
    "train.bin": "references",
    "validation.bin": "trunk",
    "manifest.json": "table0",
    "references.json": "table0",
    "h16.state": "trunk",
    "h16.trunk.safetensors": "branch0",
    "h16.safetensors": "weights",
    "h16_wd0.observations.safetensors": "table0",
    "h16_wd0.csv": "verdict",
    "h16_wd0.provenance.json": "verdict",
    "verdict.provenance.json": "list",
}


def attempt(step: str) -> str:
    """Do a step as its script does; returns what it ends with if it refuses."""
    main, arguments = STEPS[step]
    shutil.rmtree("out", ignore_errors=True)
    Path("out").mkdir()
    if step == "trunk" and Path("h16.state").exists():
        shutil.copy("h16.state", "out/h16.state")  # it lies where the training writes
    try:
        run(lambda: main(arguments.split()))
    except SystemExit as ended:
        return str(ended)
    return ""


def results() -> dict[str, object]:
    """What a step wrote, without what tells how long it took."""
    found: dict[str, object] = {}
    for path in Path("out").iterdir():
        if path.suffix == ".safetensors":
            arrays = load_tensors(path)[0]
            found[path.name] = {k: (a.dtype, a.shape, a.tobytes()) for k, a in arrays.items()}
        elif not path.name.startswith(".") and not path.name.endswith(".provenance.json"):
            found[path.name] = path.read_bytes()
    return found


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Iterator[dict[str, dict]]:
    """Stand in a folder where every step was done; gives what each wrote."""
    torch.set_num_threads(1)
    expected = {}
    with chdir(tmp_path_factory.mktemp("whole")):
        for step in STEPS:
            assert attempt(step) == ""
            expected[step] = results()
            for path in Path("out").glob("[!.]*"):
                path.rename(path.name)
        interrupt_trunk()
        yield expected


def interrupt_trunk() -> None:
    """Leave the state of a trunk that was interrupted at step 14 or later."""

    def interrupted(*_):
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(train, "write", interrupted)
        assert attempt("trunk") == "interrupted; run again and it goes on"
    Path("out/h16.state").rename("h16.state")


@contextmanager
def restored(name: str) -> Iterator[Path]:
    """Take back at the end what was done to a file."""
    path, before = Path(name), Path(name).read_bytes()
    try:
        yield path
    finally:
        path.write_bytes(before)


def flip(rng: random.Random, raw: bytes) -> bytes:
    """One bit, in half of the cases where headers and footers are."""
    low, high = rng.choice([(0, len(raw)), (0, len(raw)), (0, 300), (-300, 0)])
    changed = bytearray(raw)
    changed[max(-len(raw), rng.randrange(low, min(high, len(raw))))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def swap(rng: random.Random, raw: bytes) -> bytes:
    changed, (i, j) = bytearray(raw), rng.sample(range(len(raw)), 2)
    changed[i], changed[j] = changed[j], changed[i]
    return bytes(changed)


def blank(rng: random.Random, raw: bytes) -> bytes:
    start, size = rng.randrange(len(raw)), rng.randrange(1, 4096)
    return raw[:start] + bytes(len(raw[start : start + size])) + raw[start + size :]


DAMAGE: list[Callable[[random.Random, bytes], bytes | None]] = [
    flip,
    flip,
    flip,
    swap,
    blank,
    lambda rng, raw: raw[: rng.randrange(len(raw))],
    lambda rng, raw: raw[: -rng.randrange(1, 20)],
    lambda rng, raw: raw + rng.randbytes(rng.randrange(1, 100)),
    lambda rng, raw: Path(rng.choice([*READERS])).read_bytes(),  # a whole file, but another
    lambda rng, raw: rng.choice([b"", None]),
]


def mutations(name: str) -> Iterator[bytes | None]:
    rng, raw, left = random.Random(name), Path(name).read_bytes(), MUTATIONS
    while left:
        mutant = rng.choice(DAMAGE)(rng, raw)
        if mutant != raw:
            left -= 1
            yield mutant


@pytest.mark.parametrize("name", READERS)
def test_a_damaged_file_is_refused_in_one_line_that_names_it_or_does_no_harm(whole, name):
    step, refused = READERS[name], 0
    for number, mutant in enumerate(mutations(name)):
        began = time.perf_counter()
        with restored(name) as path:
            path.unlink() if mutant is None else path.write_bytes(mutant)
            ended = attempt(step)
        note = f"mutation {number} of {name}: {ended}"
        assert time.perf_counter() - began < PATIENCE, note
        if ended:
            assert ended.startswith("error: ") and name in ended and "\n" not in ended, note
        else:
            assert results() == whole[step], note
        # A training whose state is damaged begins anew, which does no harm.
        refused += bool(ended) or (name == "h16.state" and "starting over" in log(name))
    assert refused >= 0.9 * MUTATIONS  # JSON may hide a bit: 1e-05 is 1E-05; a state may be gone


def log(name: str) -> str:
    """The lines of the training's log that name a file."""
    return "\n".join(line for line in Path("log").read_text().splitlines() if name in line)


ANOTHER_PROCESS = """
import json, random
from pathlib import Path
from tests.test_corruption import DAMAGE, STEPS, attempt
from workflow.scripts import tokenizer
STEPS["own"] = (tokenizer.main, "--model own.model --vocab-size 512 --output out/own.model")
rng, raw = random.Random(0), Path("own.model").read_bytes()
for _ in range(100):
    Path("own.model").write_bytes(rng.choice(DAMAGE[:-2])(rng, raw))
    print(json.dumps(attempt("own")), flush=True)
"""


def test_a_damaged_model_of_the_user_never_crashes_sentencepiece(whole, tmp_path):
    # A crash of C++ would end pytest: another process tries. A model carries no checksum, so some
    # damage makes another model.
    shutil.copy("tokenizer.model", tmp_path / "own.model")
    env = {**ENVIRONMENT, "PYTHONPATH": str(ROOT)}
    done = call(tmp_path, sys.executable, "-c", ANOTHER_PROCESS, env=env)
    ends = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0 and done.stderr == "" and len(ends) == 100, done.stderr
    refused = [end for end in ends if end]
    assert len(refused) > 50
    assert all(end.startswith("error: ") and "own.model" in end for end in refused)
    assert not any("\n" in end for end in refused)


FOREIGN = {
    "recipe": json.loads(recipe(None, peak_lr=2e-2)),
    "code": "0123456789abcdef",
    "data": "0" * 64,
    "kind": "weights",
}


def write_foreign(name: str, part: str | None) -> None:
    """Turn a checkpoint into one of another making, with other weights, its checksum right."""
    tensors, metadata = load_state(name)
    tensors = {k: -v if k.startswith("model.") else v for k, v in tensors.items()}
    save_state(tensors, name, {**metadata, **({part: FOREIGN[part]} if part else {})})


@pytest.mark.parametrize("part", FOREIGN)
def test_a_state_of_another_making_is_never_continued(whole, part):
    with restored("h16.state"):
        write_foreign("h16.state", part)
        assert attempt("trunk") == ""
    assert "h16.state is of another" in log("h16.state") and "starting over" in log("h16.state")
    assert results() == whole["trunk"]


def test_a_state_of_the_same_making_is_continued(whole):
    with restored("h16.state"):
        assert attempt("trunk") == "" and "resumed at step 14" in Path("log").read_text()
        assert results() == whole["trunk"]
        write_foreign("h16.state", None)
        assert attempt("trunk") == "" and results() != whole["trunk"]


@pytest.mark.parametrize("part", FOREIGN)
def test_a_trunk_of_another_making_is_refused_by_name(whole, part):
    name = "h16.trunk.safetensors"
    with restored(name):
        write_foreign(name, part)
        assert (
            attempt("branch0") == f"error: {name!r} is of another {part}; delete it and run again"
        )
    assert list(Path("out").glob("*.safetensors")) == []


def flip_middle(path: Path) -> None:
    changed = bytearray(path.read_bytes())
    changed[len(changed) // 2] ^= 1
    path.write_bytes(changed)


def errors(project: Path, *arguments: str) -> list[str]:
    """What a build ends with, a line each; no traceback beside it."""
    done = call(project, SNAKEMAKE, *arguments)
    assert done.returncode != 0 and "Traceback" not in done.stderr, done.stderr
    return sorted(line for line in done.stderr.splitlines() if line.startswith("error: "))


@pytest.mark.slow
def test_a_damaged_file_is_made_again_as_its_refusal_says(tmp_path):
    project, tiny = copy_project(tmp_path), ("--configfile", "tests/tiny.yaml", "--cores", "2")
    target, other = "results/quick/h16_wd0.csv", "results/quick/h16_wd0_adamw.csv"
    snakemake(project, target, other, *tiny)
    kept = [*project.glob("results/quick/*.csv"), *project.glob("data/**/*.*")]
    before = {path: path.read_bytes() for path in kept if path.is_file()}
    assert len(before) == 2 + 4 + 2 + 3 + 2  # tables; text, tokenizer, shards, manifest, references

    # A table and a record are made again unasked.
    flip_middle(project / target)
    flip_middle((project / other).with_suffix(".provenance.json"))
    said = snakemake(project, target, other, *tiny)
    assert f"{target} is not as it was written" in said and "adamw.provenance.json is dam" in said
    assert {path: path.read_bytes() for path in before} == before

    # A trunk and what was observed: delete it and run again.
    (project / target).unlink()
    (project / "models/quick/h16_wd0.observations.safetensors").unlink()
    (project / other).unlink()
    damaged = ["h16.trunk.safetensors", "h16_wd0_adamw.observations.safetensors"]
    for name in damaged:
        flip_middle(project / "models/quick" / name)
    lines = errors(project, target, other, "--keep-going", *tiny)
    for name, line in zip(damaged, lines, strict=True):
        assert f"models/quick/{name}' is damaged" in line and "delete it and run again" in line
        (project / "models/quick" / name).unlink()
    snakemake(project, target, other, *tiny)
    assert {path: path.read_bytes() for path in before} == before

    # A shard: run again with --forcerun shards.
    (project / target).unlink()
    (project / "models/quick/h16_wd0.observations.safetensors").unlink()
    [shard] = project.glob("data/stories/*/train.bin")
    flip_middle(shard)
    [line] = errors(project, target, *tiny)
    assert f"{shard.relative_to(project)}' is damaged" in line
    assert line.endswith(advice := "run again with --forcerun shards")
    snakemake(project, target, *tiny, *advice.split()[-2:])
    assert {path: path.read_bytes() for path in before} == before
