# trunk (stage 1, once a seed) -> branch (stage 2, once a weight decay): the rest of a run


def of_processes(key):
    """A function that gives a setting of one process times the processes of a training."""

    def of(wildcards):
        settings = study_of(wildcards).settings
        return settings[key] * settings["processes"]

    return of


def launcher(wildcards):
    """What a training's module is started with."""
    processes = study_of(wildcards).settings["processes"]
    many = f"torchrun --standalone --nproc-per-node {processes} -m --"
    return many if processes > 1 else "python -m"


def watch(wildcards):
    """Flags of what watches a training."""
    settings = study_of(wildcards).settings
    limits = f"--anomalies {shlex.quote(canonical(settings['anomalies']))}"
    return f"{limits} --tensorboard" if settings["tensorboard"] else limits


def pilot(wildcards):
    """The pilot that must say go before a study is trained; its figures are verified first."""
    study = study_of(wildcards)
    name = study.settings.get("pilot")
    found = [f"results/{scope_of(name, study.corpus)}pilot.json"] if name else []
    if "expect" in study.settings:
        verify(study, refused(study.trunk, study.runs()[0]), *found)
    return found


def overridden(wildcards):
    """The flag that trains a study whatever its pilot says, where the command line names it."""
    named = config.get("override_pilot") == study_of(wildcards).name
    return "--override-pilot" if named else ""


def verify(study, run, pilot=None):
    """Print what a study comes to, once; end in one line where a figure does not add up."""
    shards = Path(f"data/{study.corpus}/{study.tokenizer}/shards.json")
    tokens = refused(read_json, shards)["train"]["tokens"] if shards.exists() else None
    corpus = verification.Corpus(config["corpora"][study.corpus], tokens)
    measured = refused(read_json, pilot) if pilot and Path(pilot).exists() else None
    rows = refused(verification.verification, study, run, corpus, measured, has_cuda())
    told = verification.show(study.name, rows)
    if workflow.is_main_process and told not in _told:
        _told.add(told)
        print(told, file=sys.stderr)


_told = set()


rule trunk:
    input:
        manifest=manifest,
        pilot=pilot,
    output:
        weights="models/{scope}{trunk}.safetensors",
        observations="models/{scope}{trunk}.observations.safetensors",
        state="models/{scope}{trunk}.trunk.safetensors",
    log:
        "logs/{scope}{trunk}.train.log",
    benchmark:
        "logs/{scope}{trunk}.train.tsv"
    threads: of_processes("threads")
    # Not params: none changes what is trained, so none may train it again.
    resources:
        gpu=of_processes("gpu"),
        launcher=launcher,
        device=setting("device"),
        checkpoint_every=setting("checkpoint_every"),
        watch=watch,
        overridden=overridden,
    params:
        recipe=recipe,
        code=code("train"),
        stem=subpath(output.weights, strip_suffix=".safetensors"),
    message:
        "Stage 1 of {wildcards.scope}{wildcards.trunk}"
    shell:
        "{resources.launcher} workflow.scripts.train --recipe {params.recipe:q}"
        " --manifest {input.manifest} --output {params.stem}"
        " --pilot {input.pilot} {resources.overridden}"
        " --checkpoint-every {resources.checkpoint_every}"
        " --device {resources.device} {resources.watch} --code {params.code} --log {log}"


rule branch:
    input:
        manifest=manifest,
        trunk=trunk_state,
    output:
        weights="models/{scope}{run}.safetensors",
        observations="models/{scope}{run}.observations.safetensors",
    log:
        "logs/{scope}{run}.train.log",
    benchmark:
        "logs/{scope}{run}.train.tsv"
    threads: of_processes("threads")
    # Not params: none changes what is trained, so none may train it again.
    resources:
        gpu=of_processes("gpu"),
        launcher=launcher,
        device=setting("device"),
        checkpoint_every=setting("checkpoint_every"),
        watch=watch,
    params:
        recipe=recipe,
        code=code("train"),
        stem=subpath(output.weights, strip_suffix=".safetensors"),
    message:
        "Stage 2 of {wildcards.scope}{wildcards.run}"
    shell:
        "{resources.launcher} workflow.scripts.train --recipe {params.recipe:q}"
        " --manifest {input.manifest} --trunk {input.trunk} --output {params.stem}"
        " --checkpoint-every {resources.checkpoint_every}"
        " --device {resources.device} {resources.watch} --code {params.code} --log {log}"
