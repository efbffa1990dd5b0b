# weights of a run -> exports for other software -> comparison of runtimes


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
        recipe=recipe,
        card=config["export"],
        code=code_of("export"),
    message:
        "{wildcards.scope}{wildcards.run} as {wildcards.kind}"
    shell:
        "python -m workflow.scripts.export --format {wildcards.kind} --weights {input.weights}"
        " --recipe {params.recipe:q} --manifest {input.manifest} --table {input.table}"
        " --license={params.card[license]:q} --language {params.card[language]}"
        " --name {wildcards.scope}{wildcards.run}"
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
        recipe=recipe,
        card=config["export"],
        code=code_of("export"),
    message:
        "{wildcards.scope}{wildcards.run} as {wildcards.kind}"
    shell:
        "python -m workflow.scripts.export --format {wildcards.kind} --weights {input.weights}"
        " --recipe {params.recipe:q} --manifest {input.manifest}"
        " --license={params.card[license]:q} --language {params.card[language]}"
        " --name {wildcards.scope}{wildcards.run}"
        " --output {output} --code {params.code} --log {log}"


rule compare_runtimes_of_run:
    input:
        unpack(runtime_inputs),
    output:
        csv="results/{scope}runtimes-{run}.csv",
        markdown="results/{scope}runtimes-{run}.md",
        record="results/{scope}runtimes-{run}.provenance.json",
    log:
        "logs/{scope}{run}.runtimes.log",
    params:
        recipe=recipe,
        forms=runtime_flags,
        code=code_of("compare_runtimes"),
    message:
        "Runtimes of {wildcards.scope}{wildcards.run}"
    shell:
        "python -m workflow.scripts.compare_runtimes {params.forms} --recipe {params.recipe:q}"
        " --title {wildcards.scope}{wildcards.run} --csv {output.csv} --markdown {output.markdown}"
        " --code {params.code} --log {log}"


rule lm_eval:
    input:
        unpack(lm_eval_inputs),
    output:
        json="results/{scope}lm_eval-{run}.json",
        tasks=directory("models/export/{scope}{run}/lm_eval"),
    log:
        "logs/{scope}{run}.lm_eval.log",
    params:
        recipe=recipe,
        source=study_source,
        code=code_by_source("lm_eval"),
    message:
        "{wildcards.scope}{wildcards.run} in EleutherAI's harness"
    shell:
        "python -m workflow.scripts.lm_eval --folder {input.folder} --weights {input.weights}"
        " --recipe {params.recipe:q} --manifest {input.manifest} --text {input.text}"
        " --source {params.source:q} --tasks {output.tasks} --output {output.json}"
        " --code {params.code} --log {log}"


if "portable" in config["studies"]:

    rule compare_runtimes:
        input:
            f"results/{scope_of('portable', config.get('corpus'))}runtimes-{packable_run()}.md",
        localrule: True

    rule release:
        input:
            small_model(),
        localrule: True
