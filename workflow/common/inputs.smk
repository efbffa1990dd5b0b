# Functions: inputs of rules that depend on config.yaml, and checks before anything runs.
from importlib.util import find_spec

from bitnet.export.formats import FOLDERS, GGUF, check_format, check_tokenizer, formats_of


def tokenizer_settings(wildcards):
    """tokenizer and vocab_size of the studies whose tokenizer has this label."""
    found = [Study.of(config, name) for name in config["studies"]]
    kinds = {
        (study.settings["tokenizer"], study.settings["vocab_size"])
        for study in found
        if study.tokenizer == wildcards.tokenizer
    }
    if len(kinds) != 1:
        sys.exit(f"error: tokenizer {wildcards.tokenizer!r} belongs to {len(kinds)} settings")
    return kinds.pop()


def pilot(wildcards):
    """The pilot that must decide "go" before a study is trained, after its budget is checked."""
    study = study_of(wildcards)
    name = study.settings.get("pilot")
    found = [f"results/{scope_of(name, study.corpus)}pilot.json"] if name else []
    if "expect" in study.settings:
        verify(study, refused(study.trunk, study.runs()[0]), *found)
    return found


def verify(study, run, pilot=None):
    """Print the budget of a study, once; exit with one line if it exceeds `expect`."""
    shards = Path(f"data/{study.corpus}/{study.tokenizer}/shards.json")
    tokens = refused(read_json, shards)["train"]["tokens"] if shards.exists() else None
    corpus = budget.Corpus(config["corpora"][study.corpus], tokens)
    measured = refused(read_json, pilot) if pilot and Path(pilot).exists() else None
    rows = refused(budget.verification, study, run, corpus, measured, has_cuda())
    told = budget.show(study.name, rows)
    if workflow.is_main_process and told not in _told:
        _told.add(told)
        print(told, file=sys.stderr)


_told = set()


def model_of(wildcards):
    """Shape of a run's model."""
    return refused(study_of(wildcards).recipe, wildcards.run).model


def trained_inputs(wildcards):
    """A run's weights, with the manifest and tokenizer of its data."""
    data = manifest(wildcards)
    return {
        "weights": f"models/{wildcards.scope}{wildcards.run}.safetensors",
        "manifest": data,
        "tokenizer": f"{os.path.dirname(data)}/tokenizer.model",
    }


def export_inputs(wildcards):
    """Inputs of an export; a format that cannot hold model or tokenizer ends the pipeline."""
    refused(check_format, model_of(wildcards), wildcards.kind)
    kind = study_of(wildcards).settings["tokenizer"]
    if workflow.is_main_process and kind not in ("bpe", "mistral"):
        places = (Path(kind), Path(trained_inputs(wildcards)["tokenizer"]))
        refused(check_tokenizer, kind, next(filter(Path.is_file, places), None))
    table = f"results/{wildcards.scope}{wildcards.run}.csv"
    return {**trained_inputs(wildcards), "table": table, "record": str(records.record_of(table))}


def lm_eval_inputs(wildcards):
    """A run, its text and the folder that holds it best; without lm-eval the pipeline ends."""
    if find_spec("lm_eval") is None:
        sys.exit("error: lm-eval is not installed; it needs: pip install -e '.[export,lm-eval]'")
    kinds = formats_of(model_of(wildcards))
    folder = exported(wildcards, "bitlinear" if "bitlinear" in kinds else "dense")
    return {**trained_inputs(wildcards), "text": study_text(wildcards), "folder": folder}


def runtime_inputs(wildcards):
    """A run in the compared formats, with the packed GGUF file if it has one."""
    model = model_of(wildcards)
    refused(check_format, model, "dense")  # which holds every model that any format holds
    kinds = formats_of(model)
    found = {kind: exported(wildcards, kind) for kind in ("bitlinear", "dense") if kind in kinds}
    for kind in ("f16", "tq2_0"):
        if kind in kinds:
            found["gguf"] = exported(wildcards, kind)
    return {**trained_inputs(wildcards), **found}
