# Functions: inputs of rules that hang on config.yaml, and what is refused before anything runs.
from bitnet.export.formats import FOLDERS, GGUF, check_format, formats_of


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
    found = [Study.of(config, name) for name in config["studies"]]
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
    if kind in TRAINED:
        return f"data/{wildcards.corpus}/text.json"
    if kind == "mistral":
        return []
    if not Path(kind).is_file():
        kinds = ", ".join([*TRAINED, "mistral"])
        sys.exit(f"error: tokenizer is {kind!r}; allowed: {kinds}, or the path of a file")
    return kind


def pilot(wildcards):
    """The pilot that must say go before a study is trained; its figures are verified first."""
    study = study_of(wildcards)
    name = study.settings.get("pilot")
    found = [f"results/{scope_of(name, study.corpus)}pilot.json"] if name else []
    if "expect" in study.settings:
        verify(study, refused(study.trunk, study.runs()[0]), *found)
    return found


def verify(study, run, pilot=None):
    """Print what a study comes to, once; end in one line where a figure does not add up."""
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
    """A run's weights and what they were trained on."""
    data = manifest(wildcards)
    return {
        "weights": f"models/{wildcards.scope}{wildcards.run}.safetensors",
        "manifest": data,
        "tokenizer": f"{os.path.dirname(data)}/tokenizer.model",
    }


def export_inputs(wildcards):
    """What an export is made from; a format that the model does not have ends the pipeline."""
    refused(check_format, model_of(wildcards), wildcards.kind)
    table = f"results/{wildcards.scope}{wildcards.run}.csv"
    return {**trained_inputs(wildcards), "table": table, "record": str(records.record_of(table))}


def runtime_inputs(wildcards):
    """A run in the forms that are compared: the packed GGUF file where it has one."""
    kinds = formats_of(model_of(wildcards))
    found = {kind: exported(wildcards, kind) for kind in FOLDERS if kind in kinds}
    for kind in ("f16", "tq2_0"):
        if kind in kinds:
            found["gguf"] = exported(wildcards, kind)
    return {**trained_inputs(wildcards), **found}
