# a trained model -> what it answers or writes -> the report of an experiment, pass or fail


def experiment_scopes(kind):
    """Scopes of the studies that put their models to an experiment, as a pattern."""
    names = [name for name, study in config["studies"].items() if study.get("experiment") == kind]
    scopes = [scope_of(name) for name in names]
    return "|".join([*scopes, *(rf"{name}@[a-z][a-z0-9_]*/" for name in names)]) or "(?!)"


def of_runs(suffix):
    """A function that gives a file of every run of a study."""

    def of(wildcards):
        return [f"models/{wildcards.scope}{run}.{suffix}" for run in study_of(wildcards).runs()]

    return of


def study_tokenizer(wildcards):
    """Tokenizer of a study, and what describes it."""
    study = study_of(wildcards)
    model = f"data/{study.corpus}/{study.tokenizer}/tokenizer.model"
    return [model, f"{model}.json"]


def study_source(wildcards):
    """The block of corpora of a study as canonical JSON."""
    return canonical(config["corpora"][study_of(wildcards).corpus])


rule answers:
    input:
        weights="models/{scope}{run}.safetensors",
        observations="models/{scope}{run}.observations.safetensors",
        manifest=manifest,
        references=references,
        tokenizer=study_tokenizer,
    output:
        "models/{scope}{run}.answers.json",
    log:
        "logs/{scope}{run}.answers.log",
    resources:
        gpu=setting("gpu"),
        device=setting("device"),
    params:
        source=study_source,
        code=code("answers"),
    message:
        "Held-out arithmetic put to {wildcards.scope}{wildcards.run}"
    shell:
        "python -m workflow.scripts.answers --weights {input.weights}"
        " --observations {input.observations} --manifest {input.manifest}"
        " --references {input.references} --tokenizer {input.tokenizer[0]}"
        " --source {params.source:q} --device {resources.device} --output {output}"
        " --code {params.code} --log {log}"


rule arithmetic_report:
    input:
        of_runs("answers.json"),
    output:
        markdown="results/{scope}arithmetic.md",
        csv="results/{scope}arithmetic.csv",
        figures=experiment_figures("arithmetic"),
        record="results/{scope}arithmetic.provenance.json",
    log:
        "logs/{scope}arithmetic.log",
    wildcard_constraints:
        scope=experiment_scopes("arithmetic"),
    params:
        title=study_title,
        code=code("arithmetic_report"),
    message:
        "Arithmetic of {params.title}"
    shell:
        "python -m workflow.scripts.arithmetic_report --inputs {input} --title {params.title:q}"
        " --markdown {output.markdown} --csv {output.csv} --figures {output.figures}"
        " --code {params.code} --log {log}"
