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


def study_text(wildcards):
    """What describes the text of a study."""
    return f"data/{study_of(wildcards).corpus}/text.json"


def trunk_weights(wildcards):
    """A run's weights at the switch."""
    return trunk_state(wildcards).replace(".trunk.safetensors", ".safetensors")


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


rule samples:
    input:
        trunk=trunk_weights,
        weights="models/{scope}{run}.safetensors",
        observations="models/{scope}{run}.observations.safetensors",
        manifest=manifest,
        references=references,
        tokenizer=study_tokenizer,
        text=study_text,
    output:
        "models/{scope}{run}.samples.json",
    log:
        "logs/{scope}{run}.samples.log",
    resources:
        gpu=setting("gpu"),
        device=setting("device"),
    params:
        source=study_source,
        code=code("samples"),
    message:
        "Stories of {wildcards.scope}{wildcards.run}"
    shell:
        "python -m workflow.scripts.samples --trunk {input.trunk} --weights {input.weights}"
        " --observations {input.observations} --manifest {input.manifest}"
        " --references {input.references} --tokenizer {input.tokenizer[0]}"
        " --text {input.text} --source {params.source:q}"
        " --device {resources.device} --output {output} --code {params.code} --log {log}"


rule stories_report:
    input:
        of_runs("samples.json"),
    output:
        markdown="results/{scope}stories.md",
        csv="results/{scope}stories.csv",
        figures=experiment_figures("stories"),
        record="results/{scope}stories.provenance.json",
    log:
        "logs/{scope}stories.log",
    wildcard_constraints:
        scope=experiment_scopes("stories"),
    params:
        title=study_title,
        code=code("stories_report"),
    message:
        "Stories of {params.title}"
    shell:
        "python -m workflow.scripts.stories_report --inputs {input} --title {params.title:q}"
        " --markdown {output.markdown} --csv {output.csv} --figures {output.figures}"
        " --code {params.code} --log {log}"


def sanity_input(experiment):
    """A function that gives the report of one experiment of a size."""

    def of(wildcards):
        study = config["sanity"][wildcards.sanity][experiment]
        return f"results/{scope_of(*study.partition('@')[::2])}{experiment}.md"

    return of


def sanity_results(size):
    """Files that say what both experiments come to."""
    suffixes = ["md", "csv", *config["figures"]["formats"]]
    return [f"results/sanity/{size}.{suffix}" for suffix in suffixes]


rule sanity:
    input:
        sanity_results("full"),
    localrule: True


rule sanity_quick:
    input:
        sanity_results("quick"),
    localrule: True


rule sanity_report:
    input:
        arithmetic=sanity_input("arithmetic"),
        stories=sanity_input("stories"),
    output:
        markdown="results/sanity/{sanity}.md",
        csv="results/sanity/{sanity}.csv",
        figures=[f"results/sanity/{{sanity}}.{suffix}" for suffix in config["figures"]["formats"]],
        record="results/sanity/{sanity}.provenance.json",
    log:
        "logs/sanity/{sanity}.log",
    wildcard_constraints:
        sanity="|".join(config["sanity"]),
    params:
        code=code("sanity_report"),
    message:
        "What arithmetic and stories say together ({wildcards.sanity})"
    shell:
        "python -m workflow.scripts.sanity_report --arithmetic {input.arithmetic}"
        " --stories {input.stories} --markdown {output.markdown} --csv {output.csv}"
        " --figures {output.figures} --code {params.code} --log {log}"
