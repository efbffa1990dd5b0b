# weights of a run -> what other software runs, and how the two compare
from bitnet.export_formats import FOLDERS, GGUF, check_format, formats_of


def exported(wildcards, kind):
    """Path of a run in one format."""
    name = f"{wildcards.run}-{kind}.gguf" if kind in GGUF else kind
    return f"models/export/{wildcards.scope}{wildcards.run}/{name}"


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


def runtime_flags(wildcards, input):
    """The same as flags."""
    given = {key: path for key, path in input.items() if key != "tokenizer"}
    return " ".join(f"--{key} {shlex.quote(str(path))}" for key, path in given.items())


def packable_run():
    """The run that `compare_runtimes` compares: the headline's treatment of the study portable."""
    study = studies.Study.of(config, "portable", config.get("corpus"))
    asked = study.question()
    values = {**study.axis_defaults(), **asked["headline"]}
    return runs.spell({**values, "stage2_weight_decay": asked["treatment"]}, study.axis_defaults())


rule export_folder:
    input:
        unpack(export_inputs),
    output:
        directory("models/export/{scope}{run}/{kind}"),
    log:
        "logs/{scope}{run}.{kind}.export.log",
    wildcard_constraints:
        kind="|".join(FOLDERS),
    params:
        code=code("export"),
    message:
        "{wildcards.scope}{wildcards.run} as {wildcards.kind}"
    shell:
        "python -m workflow.scripts.export --format {wildcards.kind} --weights {input.weights}"
        " --manifest {input.manifest} --table {input.table} --name {wildcards.scope}{wildcards.run}"
        " --output {output} --code {params.code} --log {log}"


rule export_gguf:
    input:
        unpack(export_inputs),
    output:
        "models/export/{scope}{run}/{run}-{kind}.gguf",
    log:
        "logs/{scope}{run}.{kind}.export.log",
    wildcard_constraints:
        kind="|".join(GGUF),
    params:
        code=code("export"),
    message:
        "{wildcards.scope}{wildcards.run} as {wildcards.kind}"
    shell:
        "python -m workflow.scripts.export --format {wildcards.kind} --weights {input.weights}"
        " --manifest {input.manifest} --name {wildcards.scope}{wildcards.run}"
        " --output {output} --code {params.code} --log {log}"


rule runtimes:
    input:
        unpack(runtime_inputs),
    output:
        csv="results/{scope}runtimes-{run}.csv",
        markdown="results/{scope}runtimes-{run}.md",
        record="results/{scope}runtimes-{run}.provenance.json",
    log:
        "logs/{scope}{run}.runtimes.log",
    params:
        forms=runtime_flags,
        code=code("compare_runtimes"),
    message:
        "Runtimes of {wildcards.scope}{wildcards.run}"
    shell:
        "python -m workflow.scripts.compare_runtimes {params.forms}"
        " --title {wildcards.scope}{wildcards.run} --csv {output.csv} --markdown {output.markdown}"
        " --code {params.code} --log {log}"


if "portable" in config["studies"]:

    rule compare_runtimes:
        input:
            f"results/{scope_of('portable', config.get('corpus'))}runtimes-{packable_run()}.md",
        localrule: True
