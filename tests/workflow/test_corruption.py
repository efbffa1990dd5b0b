"""Damaged files are found before they are used, and named in one line.

Every step of the pipeline is done once; then its script is run on files with seeded damage.
"""

import importlib
import json
import random
import re
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import chdir, contextmanager
from pathlib import Path
from unittest.mock import Mock

import pytest
import torch

from bitnet.common.tensors import load_tensors
from bitnet.config.recipe import ModelConfig, Recipe, TrainConfig
from bitnet.model.checkpoint import load_state, load_weights, save_state
from bitnet.model.transformer import Transformer
from tests.helpers.project import ENVIRONMENT, ROOT, call
from workflow.helpers.cli import run
from workflow.scripts import train

MUTATIONS = 28  # of each of 17 files
BEGUN_ANEW = re.compile(r"h16\.state.*: starting over|starting over: .*h16\.state")


def recipe(stage2: float | None, **changes) -> str:
    settings = {"optimizer": "adamw", "peak_lr": 1e-2, "switch_lr": 5e-3, "final_lr": 1e-4}
    settings |= {"steps": 40, "batch_size": 2, "sequence_length": 32, "warmup_steps": 4}
    settings |= {"stage1_weight_decay": 0.1, "stage2_weight_decay": stage2, "evaluate_every": 10}
    return Recipe(ModelConfig(512, 16, 1), TrainConfig(**{**settings, **changes})).to_json()


def read_weights(_: list[str]) -> None:
    """What a user does who runs a model elsewhere."""
    load_weights(model := Transformer(ModelConfig(512, 16, 1), 32), "h16.safetensors")
    Path("out/weights").write_bytes(b"".join(p.detach().numpy() for p in model.parameters()))


STORIES = '{"source":"stories","seed":0,"train_bytes":200000,"validation_bytes":40000}'
MODEL = "--tokenizer tokenizer.model"
RECORD = ".provenance.json"
VERDICT = "--csv out/verdict.csv --markdown out/verdict.md"
TRAIN = "train --manifest manifest.json --device cpu --checkpoint-every 7 --log log"
BRANCH = f"{TRAIN} --trunk h16.trunk.safetensors"
TABLE = "evaluate --manifest manifest.json --references references.json"
SEEN = "observations.safetensors"
HEADLINE = '{"hidden_size":16,"optimizer":"adamw","weights":"ternary"}'
QUESTION = f'{{"treatment":0,"control":0.1,"headline":{HEADLINE}}}'
# Every step of the pipeline, in order; each reads what lies in its folder and writes to out/.
COMMANDS = f"""
text: text --source {STORIES} --output out/text.json
tokenizer: tokenizer --text text.json --vocab-size 512 --output out/tokenizer.model
shards: shards --text text.json {MODEL} --output out/shards.json
manifest: manifest --shards shards.json {MODEL} --sequence-length 32 --output out/manifest.json
references: references --manifest manifest.json --output out/references.json
trunk: {TRAIN} --recipe {recipe(None)} --output out/h16
branch0: {BRANCH} --recipe {recipe(0)} --output out/h16_wd0
branch0.1: {BRANCH} --recipe {recipe(0.1)} --output out/h16_wd0.1
table0: {TABLE} --observations h16_wd0.{SEEN} --output out/h16_wd0.csv
table0.1: {TABLE} --observations h16_wd0.1.{SEEN} --output out/h16_wd0.1.csv
verdict: verdict --inputs h16_wd0.csv h16_wd0.1.csv --question {QUESTION} {VERDICT}
list: provenance --inputs h16_wd0{RECORD} verdict{RECORD} --output out/list.json
weights: load_weights
own: tokenizer --model own.model --vocab-size 512 --output out/own.model
"""
STEPS = dict(line.split(": ") for line in COMMANDS.strip().splitlines())
READS = {
    "tokenizer": "train-00000.parquet text.json",
    "shards": "validation-00000.parquet tokenizer.model",
    "manifest": "tokenizer.model.json shards.json",
    "references": "train-00000.bin",
    "trunk": "validation-00000.bin h16.state",
    "branch0": "h16.trunk.safetensors",
    "table0": f"manifest.json references.json h16_wd0.{SEEN}",
    "verdict": f"h16_wd0.csv h16_wd0{RECORD}",
    "list": f"verdict{RECORD}",
    "weights": "h16.safetensors",
}
READERS = {name: step for step, names in READS.items() for name in names.split()}


def attempt(step: str) -> str:
    """Do a step as its script does; returns what it ends with if it refuses."""
    script, *arguments = STEPS[step].split()
    main = importlib.import_module(f"workflow.scripts.{script}").main if arguments else read_weights
    shutil.rmtree("out", ignore_errors=True)
    Path("out").mkdir()
    if step == "trunk" and Path("h16.state").exists():
        shutil.copy("h16.state", "out/h16.state")  # it lies where the training writes
    try:
        run(lambda: main(arguments))
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
        for step in [*STEPS][:-1]:
            assert attempt(step) == ""
            expected[step] = results()
            for path in Path("out").glob("[!.]*"):
                path.rename(path.name)
        interrupt_trunk()
        yield expected


def interrupt_trunk() -> None:
    """Leave the state of a trunk that was interrupted after step 14."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(train, "write", Mock(side_effect=KeyboardInterrupt))
        assert attempt("trunk") == "interrupted; the same command goes on"
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
    size, changed = len(raw), bytearray(raw)
    low, high = rng.choice([(0, size), (0, size), (0, 150), (size - 150, size)])
    changed[rng.randrange(low, high)] ^= 1 << rng.randrange(8)
    return bytes(changed)


def swap(rng: random.Random, raw: bytes) -> bytes:
    i, j = sorted(rng.sample(range(len(raw)), 2))
    return raw[:i] + raw[j : j + 1] + raw[i + 1 : j] + raw[i : i + 1] + raw[j + 1 :]


def blank(rng: random.Random, raw: bytes) -> bytes:
    start, end = sorted(rng.choices(range(len(raw) + 1), k=2))
    return raw[:start] + bytes(end - start) + raw[end:]


DAMAGE: list[Callable[[random.Random, bytes], bytes | None]] = [
    *[flip, flip, flip, swap, blank],
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
        assert time.perf_counter() - began < 20, note
        if ended:
            assert re.fullmatch(f"error: .*{re.escape(name)}.*", ended), note
        else:
            assert results() == whole[step], note
        # A training whose state is damaged begins anew: its log names the state.
        refused += bool(
            ended or (name == "h16.state" and BEGUN_ANEW.search(Path("log").read_text()))
        )
    assert refused >= 0.9 * MUTATIONS  # JSON may hide a bit: 1e-05 is 1E-05; a state may be gone


ANOTHER_PROCESS = """
import json, random
from pathlib import Path
from tests.workflow.test_corruption import DAMAGE, attempt
rng, raw = random.Random(0), Path("own.model").read_bytes()
no_text = raw.replace(b"the", b"t\\xffe", 1)
for mutant in [no_text, *(rng.choice(DAMAGE[:-2])(rng, raw) for _ in range(99))]:
    Path("own.model").write_bytes(mutant)
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
    assert ends[0] and sum(map(bool, ends)) > 50
    assert all(re.fullmatch("error: .*own.model.*", end) for end in ends if end)


FOREIGN = {"code": "0123456789abcdef", "data": "0" * 64, "kind": "weights"}
FOREIGN["recipe"] = json.loads(recipe(None, peak_lr=2e-2))


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
    said = Path("log").read_text()
    assert f"h16.state is of another {part}: starting over" in said
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
        ended = attempt("branch0")
    assert ended == f"error: {name!r} is of another {part}; delete it and run again"
    assert list(Path("out").glob("*.safetensors")) == []
