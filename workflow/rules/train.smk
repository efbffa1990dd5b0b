# trunk (stage 1, once per seed) -> branch (stage 2, once per weight decay): the rest of a run


rule train_trunk:
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
    threads: training_threads
    # These are resources, not params, because Snakemake reruns a job whose params change, and none
    # of these affects the weights.
    resources:
        **SEVERAL_NODES,
        gpu=training_gpu_slots,
        runtime=minutes,
        nodes=training_nodes,
        launcher=launcher,
        device=device_flags,
        checkpoints=checkpoints,
        watch=watch,
        overridden=overridden,
    params:
        recipe=recipe,
        code=code_of("train"),
        stem=subpath(output.weights, strip_suffix=".safetensors"),
    message:
        "Stage 1 of {wildcards.scope}{wildcards.trunk}"
    shell:
        "{resources.launcher} workflow.scripts.train --recipe {params.recipe:q}"
        " --manifest {input.manifest} --output {params.stem}"
        " --pilot {input.pilot} {resources.overridden} {resources.checkpoints}"
        " {resources.device} {resources.watch} --code {params.code} --log {log}"


rule train_branch:
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
    threads: training_threads
    # These are resources, not params, because Snakemake reruns a job whose params change, and none
    # of these affects the weights.
    resources:
        **SEVERAL_NODES,
        gpu=training_gpu_slots,
        runtime=minutes,
        nodes=training_nodes,
        launcher=launcher,
        device=device_flags,
        checkpoints=checkpoints,
        watch=watch,
    params:
        recipe=recipe,
        code=code_of("train"),
        stem=subpath(output.weights, strip_suffix=".safetensors"),
    message:
        "Stage 2 of {wildcards.scope}{wildcards.run}"
    shell:
        "{resources.launcher} workflow.scripts.train --recipe {params.recipe:q}"
        " --manifest {input.manifest} --trunk {input.trunk} --output {params.stem}"
        " {resources.checkpoints}"
        " {resources.device} {resources.watch} --code {params.code} --log {log}"
