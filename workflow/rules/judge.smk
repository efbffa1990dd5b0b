# observations -> table of a run -> verdict and figures of a study


rule evaluate:
    input:
        observations="models/{scope}{run}.observations.safetensors",
        manifest=manifest,
        references=references,
    output:
        "results/{scope}{run}.csv",
    log:
        "logs/{scope}{run}.evaluate.log",
    params:
        code=code("evaluate"),
    message:
        "Metrics of {wildcards.scope}{wildcards.run}"
    shell:
        "python -m workflow.scripts.evaluate --observations {input.observations}"
        " --manifest {input.manifest} --references {input.references}"
        " --output {output} --log {log}"


rule verdict:
    input:
        run_tables,
    output:
        csv="results/{scope}verdict.csv",
        markdown="results/{scope}verdict.md",
    log:
        "logs/{scope}verdict.log",
    params:
        question=question,
        thresholds=canonical(config["verdict"]),
        title=study_title,
        code=code("verdict"),
    message:
        "Verdict of {params.title}"
    shell:
        "python -m workflow.scripts.verdict --inputs {input} --question {params.question:q}"
        " --thresholds {params.thresholds:q} --title {params.title:q}"
        " --csv {output.csv} --markdown {output.markdown} --log {log}"


rule figures:
    input:
        run_tables,
    output:
        figures("{scope}"),
    log:
        "logs/{scope}figures.log",
    params:
        thresholds=canonical(config["verdict"]),
        title=figure_title,
        dpi=config["figures"]["dpi"],
        code=code("figures"),
    message:
        "Figures of {params.title}"
    shell:
        "python -m workflow.scripts.figures --inputs {input} --thresholds {params.thresholds:q}"
        " --title {params.title:q} --dpi {params.dpi} --outputs {output} --log {log}"
