# text -> tokenizer -> shards -> manifest -> references: a folder per corpus and, in it, per tokenizer
# Text and shards are files of bounded size in the folder of the JSON that describes them. They are
# no outputs, because Snakemake would delete the finished ones of an interrupted job.


rule data:
    input:
        study_data(STUDY),
    localrule: True


rule text:
    output:
        "data/{corpus}/text.json",
    log:
        "logs/data/{corpus}.text.log",
    params:
        source=text_source,
        sources=text_flags,
        code=code_by_source("text"),
    message:
        "Text of the corpus {wildcards.corpus}"
    shell:
        "python -m workflow.scripts.text --source {params.source:q} {params.sources}"
        " --output {output} --code {params.code} --log {log}"


rule tokenizer:
    input:
        "data/{corpus}/text.json",
    output:
        model="data/{corpus}/{tokenizer}/tokenizer.model",
        description="data/{corpus}/{tokenizer}/tokenizer.model.json",
    log:
        "logs/data/{corpus}.{tokenizer}.tokenizer.log",
    params:
        origin=tokenizer_flag,
        vocab_size=tokenizer_size,
        code=code_of("tokenizer"),
    message:
        "Tokenizer {wildcards.tokenizer} of {wildcards.corpus}"
    shell:
        "python -m workflow.scripts.tokenizer {params.origin} {input} --output {output.model}"
        " --vocab-size {params.vocab_size} --code {params.code} --log {log}"


rule shards:
    input:
        text="data/{corpus}/text.json",
        tokenizer="data/{corpus}/{tokenizer}/tokenizer.model",
        tokenizer_description="data/{corpus}/{tokenizer}/tokenizer.model.json",
    output:
        "data/{corpus}/{tokenizer}/shards.json",
    log:
        "logs/data/{corpus}.{tokenizer}.shards.log",
    threads: text_parts
    params:
        code=code_of("shards"),
    message:
        "Token shards of {wildcards.corpus}"
    shell:
        "python -m workflow.scripts.shards --text {input.text}"
        " --tokenizer {input.tokenizer} --corpus {wildcards.corpus} --processes {threads}"
        " --output {output} --code {params.code} --log {log}"


rule manifest:
    input:
        shards="data/{corpus}/{tokenizer}/shards.json",
        tokenizer="data/{corpus}/{tokenizer}/tokenizer.model",
        tokenizer_description="data/{corpus}/{tokenizer}/tokenizer.model.json",
    output:
        "data/{corpus}/{tokenizer}/manifest{length}.json",
    log:
        "logs/data/{corpus}.{tokenizer}.manifest{length}.log",
    params:
        code=code_of("manifest"),
    message:
        "Probe of {wildcards.corpus} at length {wildcards.length}"
    shell:
        "python -m workflow.scripts.manifest --shards {input.shards} --tokenizer {input.tokenizer}"
        " --sequence-length {wildcards.length} --output {output} --code {params.code} --log {log}"


rule references:
    input:
        "data/{corpus}/{tokenizer}/manifest{length}.json",
    output:
        "data/{corpus}/{tokenizer}/references{length}.json",
    log:
        "logs/data/{corpus}.{tokenizer}.references{length}.log",
    params:
        source=text_source,
        code=code_by_source("references"),
    message:
        "Count models of {wildcards.corpus} at length {wildcards.length}"
    shell:
        "python -m workflow.scripts.references --manifest {input} --source {params.source:q}"
        " --output {output} --code {params.code} --log {log}"
