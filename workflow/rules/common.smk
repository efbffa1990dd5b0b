# Functions only: what the rules ask of config.yaml. Nothing here imports torch or pandas.
import json
import os
import shlex
import shutil
import sys
from pathlib import Path

import yaml

ROOT = Path(workflow.basedir)
sys.path.insert(0, str(ROOT))

from bitnet import corpora, parts, plan, provenance, records, runs, studies, verification
from bitnet.check import check
from bitnet.config import Recipe
from bitnet.files import read_json
from bitnet.reader import read_config

# Any --directory and an environment that is not activated work: jobs find this Python first.
_BIN = shlex.quote(str(Path(sys.executable).parent))
shell.prefix(f"set -euo pipefail; export PATH={_BIN}:$PATH PYTHONPATH={shlex.quote(str(ROOT))}; ")

SCHEMA = yaml.safe_load((ROOT / "workflow/schemas/config.schema.yaml").read_text())

# Before Snakemake reads it: that would take the last of two equal keys and obey __use_yte__.
try:
    for _path in workflow.overwrite_configfiles:
        read_config(_path)
    read_config(ROOT / "config.yaml", SCHEMA)
except ValueError as _error:
    sys.exit(str(_error))


wildcard_constraints:
    scope=r"([a-z][a-z0-9_]*(@[a-z][a-z0-9_]*)?/)?",
    run=runs.RUN,
    trunk=runs.TRUNK,
    corpus=r"[a-z][a-z0-9_]*",
    tokenizer=r"[^/]+",
    length=r"\d+",
    split=r"train|validation",
    ledger=r"[a-z][a-z0-9_]*",


def check_writable(*folders):
    """End in one line, before hours of training, where what is trained could not be written."""
    for folder in folders:
        there = next(path for path in (Path(folder), Path()) if path.exists())
        if not os.access(there, os.W_OK):
            sys.exit(f"error: the folder {folder} cannot be written; allowed: one you may write to")


if workflow.is_main_process and not workflow.dryrun:
    check_writable("data", "models", "results", "logs", ".snakemake")


def scope_of(name, corpus=None):
    """Folder below results/, models/ and logs/: the main study owns the root of each."""
    if corpus and corpus != config["studies"][name].get("corpus", config["defaults"]["corpus"]):
        return f"{name}@{corpus}/"
    return "" if name == config["main_study"] else f"{name}/"


def study_of(wildcards):
    """The study that a scope belongs to, on the corpus that the scope names."""
    name, _, corpus = (wildcards.scope.rstrip("/") or config["main_study"]).partition("@")
    return refused(studies.Study.of, config, name, corpus or None)


def refused(function, *arguments):
    """Call; what it refuses ends the pipeline in one line."""
    try:
        return function(*arguments)
    except ValueError as error:
        sys.exit(f"error: {error}")


def has_cuda():
    """Whether there is a CUDA device, asked without torch."""
    return shutil.which("nvidia-smi") is not None


def chosen_study():
    """What `all` builds, said in one line."""
    name = config["study"]
    if name == "auto":
        name = config["main_study"] if has_cuda() or "quick" not in config["studies"] else "quick"
        why = "nvidia-smi is on PATH" if has_cuda() else "no CUDA device"
        print(
            f"`all` is the study {name} here ({why}); --config study=... chooses", file=sys.stderr
        )
    return name


def study_results(name, corpus=None):
    """Files that answer a study's question."""
    corpus = corpus or config.get("corpus")
    scope = scope_of(name, corpus)
    study = studies.Study.of(config, name, corpus)
    if kind := study.settings.get("experiment"):
        tables = tables_of(name, corpus) if kind == "pretraining" else []
        return [*experiment_results(scope, kind), *tables]
    lists = [f"results/{scope}{name}" for name in ("verdict.md", "report.html", "provenance.json")]
    return [*lists, *figures(scope, study.figures()), *tables_of(name, corpus)]


def study_data(name):
    """Files without which nothing of a study needs a network: its data, ready to be trained on."""
    study = refused(studies.Study.of, config, name, config.get("corpus"))
    encoded = f"data/{study.corpus}/{study.tokenizer}"
    return [f"{encoded}/{kind}{study.sequence_length}.json" for kind in ("manifest", "references")]


def experiment_results(scope, kind):
    """Files that say how an experiment went: a report, its numbers, its figure."""
    if kind == "pilot":
        return [f"results/{scope}pilot.{suffix}" for suffix in ("json", "md")]
    lists = [f"results/{scope}{kind}.{suffix}" for suffix in ("md", "csv", "provenance.json")]
    return [*lists, *experiment_figures(kind, scope)]


def experiment_figures(kind, scope="{scope}"):
    """Figure files of an experiment."""
    return [f"results/{scope}{kind}.{suffix}" for suffix in config["figures"]["formats"]]


def figures(scope, names):
    """Figure files of a study that has these figures."""
    suffixes = config["figures"]["formats"]
    return [f"results/{scope}figures/{name}.{suffix}" for name in names for suffix in suffixes]


def figure_sets():
    """Figures that studies have together: a name, theirs, and the studies' scopes as a pattern."""
    found = {}
    for name in config["studies"]:
        names = tuple(studies.Study.of(config, name).figures())
        of_corpus = rf"{name}@[a-z][a-z0-9_]*/"
        found.setdefault(names, []).extend([scope_of(name), of_corpus])
    for names, scopes in found.items():
        special = [name for name in names if name not in studies.OVER_STEPS]
        yield "-".join(["figures", *special]), names, "|".join(scopes)  # no study has a "-"


def tables_of(name, corpus=None):
    """Tables of every run of a study, on another corpus if asked."""
    scope = scope_of(name, corpus)
    return [f"results/{scope}{run}.csv" for run in studies.Study.of(config, name, corpus).runs()]


def run_tables(wildcards):
    """Tables of every run of a study's grid."""
    return [f"results/{wildcards.scope}{run}.csv" for run in study_of(wildcards).runs()]


def run_records(wildcards):
    """Records of every run of a study's grid."""
    return [str(records.record_of(table)) for table in run_tables(wildcards)]


def recipe(wildcards):
    """Canonical JSON of the recipe of a run or a trunk."""
    name = wildcards.get("run") or wildcards.get("trunk")
    return refused(study_of(wildcards).recipe, name).to_json()


def variant(wildcards):
    """What a run's name says beside size, decay, optimizer, weights and learning rate."""
    return refused(runs.variant_of, wildcards.run, study_of(wildcards).axis_defaults())


def trunk_state(wildcards):
    """What a run branches from."""
    trunk = refused(study_of(wildcards).trunk, wildcards.run)
    return f"models/{wildcards.scope}{trunk}.trunk.safetensors"


def manifest(wildcards):
    """Manifest of a study's data."""
    study = study_of(wildcards)
    return f"data/{study.corpus}/{study.tokenizer}/manifest{study.sequence_length}.json"


def references(wildcards):
    """What count models reach on a study's data."""
    return manifest(wildcards).replace("manifest", "references")


def setting(key):
    """A function that gives a study's setting."""

    def of(wildcards):
        return study_of(wildcards).settings[key]

    return of


def text_source(wildcards):
    """A block of corpora as canonical JSON."""
    if wildcards.corpus not in config["corpora"]:
        sys.exit(f"error: corpus is {wildcards.corpus!r}; allowed: {', '.join(config['corpora'])}")
    return json.dumps(config["corpora"][wildcards.corpus], sort_keys=True)


def text_parts(wildcards):
    """Files of a corpus's training text at most: so many can be encoded at once."""
    source = json.loads(text_source(wildcards))
    return -(-source["train_bytes"] // source.get("part_bytes", parts.PART_BYTES))


def text_files(wildcards):
    """Files that a corpus of files is read from."""
    source = json.loads(text_source(wildcards))
    patterns = [*source.get("train", []), *source.get("validation", [])]
    if source["source"] != "files":
        return []
    key = f"corpora.{wildcards.corpus}"
    return [str(path) for path in refused(corpora.matching_files, patterns, key)]


def tokenizer_settings(wildcards):
    """tokenizer and vocab_size of the studies whose tokenizer has this label."""
    found = [studies.Study.of(config, name) for name in config["studies"]]
    kinds = {
        (study.settings["tokenizer"], study.settings["vocab_size"])
        for study in found
        if study.tokenizer == wildcards.tokenizer
    }
    if len(kinds) != 1:
        sys.exit(f"error: tokenizer {wildcards.tokenizer!r} belongs to {len(kinds)} settings")
    return kinds.pop()


def tokenizer_origin(wildcards):
    """What a tokenizer is trained on or taken from; nothing where an installed package has it."""
    kind, _ = tokenizer_settings(wildcards)
    if kind in studies.TRAINED:
        return f"data/{wildcards.corpus}/text.json"
    if kind == "mistral":
        return []
    if not Path(kind).is_file():
        kinds = ", ".join([*studies.TRAINED, "mistral"])
        sys.exit(f"error: tokenizer is {kind!r}; allowed: {kinds}, or the path of a file")
    return kind


def tokenizer_flag(wildcards):
    """How the script is told what that is."""
    flags = {"bpe": "--text", "characters": "--characters", "mistral": "--mistral"}
    return flags.get(tokenizer_settings(wildcards)[0], "--model")


def tokenizer_size(wildcards):
    """Pieces of a tokenizer."""
    return tokenizer_settings(wildcards)[1]


def canonical(block):
    """A block of the config as one string that a rule can be judged by."""
    return json.dumps(block, sort_keys=True)


def question(wildcards):
    """What a study's verdict compares."""
    return canonical(refused(study_of(wildcards).question))


def study_title(wildcards):
    """A study's name, with its corpus where that was chosen."""
    return wildcards.scope.rstrip("/") or config["main_study"]


def figure_title(wildcards):
    """What stands above a figure."""
    return config["figures"]["title"] or study_title(wildcards)


def code(script):
    """Fingerprint of a script and all it imports here."""
    return refused(provenance.code_fingerprint, ROOT, f"workflow.scripts.{script}")
