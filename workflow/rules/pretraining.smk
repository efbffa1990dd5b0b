# a long training: its pilot, which must say go, and the report on it


def first_trunk(wildcards):
    """What the trunk of a pilot's first run was observed to do."""
    study = study_of(wildcards)
    return f"models/{wildcards.scope}{study.trunk(study.runs()[0])}.observations.safetensors"


def limits(wildcards):
    """Limits of the rules that a training is watched by."""
    return canonical(study_of(wildcards).settings["anomalies"])


rule pilot_report:
    input:
        observations=first_trunk,
        manifest=manifest,
        references=references,
        tokenizer=study_tokenizer,
    output:
        json="results/{scope}pilot.json",
        markdown="results/{scope}pilot.md",
    log:
        "logs/{scope}pilot.log",
    wildcard_constraints:
        scope=experiment_scopes("pilot"),
    params:
        title=study_title,
        anomalies=limits,
        code=code("pilot_report"),
    message:
        "Go or no-go of {params.title}"
    shell:
        "python -m workflow.scripts.pilot_report --observations {input.observations}"
        " --manifest {input.manifest} --references {input.references}"
        " --tokenizer {input.tokenizer[0]} --anomalies {params.anomalies:q}"
        " --title {params.title:q} --markdown {output.markdown} --output {output.json}"
        " --code {params.code} --log {log}"


rule pretraining_report:
    input:
        observations=of_runs("observations.safetensors"),
        manifest=manifest,
        references=references,
        tokenizer=study_tokenizer,
    output:
        markdown="results/{scope}pretraining.md",
        csv="results/{scope}pretraining.csv",
        figures=experiment_figures("pretraining"),
        record="results/{scope}pretraining.provenance.json",
    log:
        "logs/{scope}pretraining.log",
    wildcard_constraints:
        scope=experiment_scopes("pretraining"),
    params:
        title=study_title,
        anomalies=limits,
        code=code("pretraining_report"),
    message:
        "Report on {params.title}"
    shell:
        "python -m workflow.scripts.pretraining_report --observations {input.observations}"
        " --manifest {input.manifest} --references {input.references}"
        " --tokenizer {input.tokenizer[0]} --anomalies {params.anomalies:q}"
        " --title {params.title:q} --markdown {output.markdown} --csv {output.csv}"
        " --figures {output.figures} --code {params.code} --log {log}"
