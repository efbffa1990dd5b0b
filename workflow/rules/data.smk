# text -> tokenizer -> shards -> manifest -> references: one folder a corpus, one below it a tokenizer


rule text:
    input:
        text_files,
    output:
        train="data/{corpus}/train.parquet",
        validation="data/{corpus}/validation.parquet",
        descriptions=multiext("data/{corpus}/", "train.parquet.json", "validation.parquet.json"),
    log:
        "logs/data/{corpus}.text.log",
    params:
        source=text_source,
        code=code("text"),
    message:
        "Text of the corpus {wildcards.corpus}"
    shell:
        "python -m workflow.scripts.text --source {params.source:q} --train {output.train}"
        " --validation {output.validation} --log {log}"


rule tokenizer:
    input:
        tokenizer_origin,
    output:
        model="data/{corpus}/{tokenizer}/tokenizer.model",
        description="data/{corpus}/{tokenizer}/tokenizer.model.json",
    log:
        "logs/data/{corpus}.{tokenizer}.tokenizer.log",
    params:
        origin=tokenizer_flag,
        vocab_size=tokenizer_size,
        code=code("tokenizer"),
    message:
        "Tokenizer {wildcards.tokenizer} of {wildcards.corpus}"
    shell:
        "python -m workflow.scripts.tokenizer {params.origin} {input[0]} --output {output.model}"
        " --vocab-size {params.vocab_size} --log {log}"


rule shards:
    input:
        train="data/{corpus}/train.parquet",
        validation="data/{corpus}/validation.parquet",
        descriptions=multiext("data/{corpus}/", "train.parquet.json", "validation.parquet.json"),
        tokenizer="data/{corpus}/{tokenizer}/tokenizer.model",
        tokenizer_description="data/{corpus}/{tokenizer}/tokenizer.model.json",
    output:
        description="data/{corpus}/{tokenizer}/shards.json",
        train="data/{corpus}/{tokenizer}/train.bin",
        validation="data/{corpus}/{tokenizer}/validation.bin",
    log:
        "logs/data/{corpus}.{tokenizer}.shards.log",
    params:
        code=code("shards"),
    message:
        "Token shards of {wildcards.corpus}"
    shell:
        "python -m workflow.scripts.shards --train {input.train} --validation {input.validation}"
        " --tokenizer {input.tokenizer} --corpus {wildcards.corpus}"
        " --output {output.description} --log {log}"


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
        code=code("manifest"),
    message:
        "Probe of {wildcards.corpus} at length {wildcards.length}"
    shell:
        "python -m workflow.scripts.manifest --shards {input.shards} --tokenizer {input.tokenizer}"
        " --sequence-length {wildcards.length} --output {output} --log {log}"


rule references:
    input:
        "data/{corpus}/{tokenizer}/manifest{length}.json",
    output:
        "data/{corpus}/{tokenizer}/references{length}.json",
    log:
        "logs/data/{corpus}.{tokenizer}.references{length}.log",
    params:
        code=code("references"),
    message:
        "Count models of {wildcards.corpus} at length {wildcards.length}"
    shell:
        "python -m workflow.scripts.references --manifest {input} --output {output} --log {log}"
