# a trained model -> its answers or texts -> the report of an experiment, pass or fail


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
        gpu=gpu_slots,
        device=device,
    params:
        recipe=recipe,
        source=study_source,
        code=code_of("answers"),
    message:
        "Held-out arithmetic put to {wildcards.scope}{wildcards.run}"
    shell:
        "python -m workflow.scripts.answers --weights {input.weights} --recipe {params.recipe:q}"
        " --observations {input.observations} --manifest {input.manifest}"
        " --references {input.references} --tokenizer {input.tokenizer[0]}"
        " --source {params.source:q} --device {resources.device} --output {output}"
        " --code {params.code} --log {log}"


rule arithmetic_report:
    input:
        experiment_inputs("arithmetic"),
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
        lineage=lambda wildcards: canonical(experiment_lineage("arithmetic")(wildcards)),
        code=code_of("arithmetic_report"),
    message:
        "Arithmetic of {params.title}"
    shell:
        "python -m workflow.scripts.arithmetic_report --inputs {input} --title {params.title:q}"
        " --markdown {output.markdown} --csv {output.csv} --figures {output.figures}"
        " --lineage {params.lineage:q} --code {params.code} --log {log}"


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
        gpu=gpu_slots,
        device=device,
    params:
        recipe=recipe,
        source=study_source,
        code=code_by_source("samples"),
    message:
        "Stories of {wildcards.scope}{wildcards.run}"
    shell:
        "python -m workflow.scripts.samples --trunk {input.trunk} --weights {input.weights}"
        " --recipe {params.recipe:q} --observations {input.observations} --manifest {input.manifest}"
        " --references {input.references} --tokenizer {input.tokenizer[0]}"
        " --text {input.text} --source {params.source:q}"
        " --device {resources.device} --output {output} --code {params.code} --log {log}"


rule stories_report:
    input:
        experiment_inputs("stories"),
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
        lineage=lambda wildcards: canonical(experiment_lineage("stories")(wildcards)),
        code=code_of("stories_report"),
    message:
        "Stories of {params.title}"
    shell:
        "python -m workflow.scripts.stories_report --inputs {input} --title {params.title:q}"
        " --markdown {output.markdown} --csv {output.csv} --figures {output.figures}"
        " --lineage {params.lineage:q} --code {params.code} --log {log}"


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
        code=code_of("sanity_report"),
    message:
        "What arithmetic and stories say together ({wildcards.sanity})"
    shell:
        "python -m workflow.scripts.sanity_report --arithmetic {input.arithmetic}"
        " --stories {input.stories} --size {wildcards.sanity}"
        " --markdown {output.markdown} --csv {output.csv} --figures {output.figures} --code {params.code} --log {log}"


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
        code=code_of("pilot_report"),
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
        code=code_of("pretraining_report"),
    message:
        "Report on {params.title}"
    shell:
        "python -m workflow.scripts.pretraining_report --observations {input.observations}"
        " --manifest {input.manifest} --references {input.references}"
        " --tokenizer {input.tokenizer[0]} --anomalies {params.anomalies:q}"
        " --title {params.title:q} --markdown {output.markdown} --csv {output.csv}"
        " --figures {output.figures} --code {params.code} --log {log}"
