# tables of several studies -> ledger of the original reports' claims


def chosen_ledger():
    """The ledger of claims that this machine can decide."""
    return "full" if has_cuda() else "quick"


def ledger_studies(wildcards):
    """Question and tables of each study that decides claims."""
    if wildcards.ledger not in config["claims"]:
        sys.exit(f"error: ledger is {wildcards.ledger!r}; allowed: {', '.join(config['claims'])}")
    found = {}
    for scope in config["claims"][wildcards.ledger]:
        name, _, corpus = scope.partition("@")
        question = studies.Study.of(config, name).question()
        found[scope] = {"question": question, "tables": tables_of(name, corpus or None)}
    return found


def ledger_tables(wildcards):
    """Tables of all studies of a ledger."""
    return [table for study in ledger_studies(wildcards).values() for table in study["tables"]]


def ledger_records(wildcards):
    """Their records."""
    return [str(records.record_of(table)) for table in ledger_tables(wildcards)]


def ledger_verdicts(wildcards):
    """Verdicts of the same studies, which a ledger refers to."""
    folders = {os.path.dirname(table): None for table in ledger_tables(wildcards)}
    return [f"{folder}/verdict.md" for folder in folders]


def ledger_param(wildcards):
    """The studies of a ledger as one string that a rule can be judged by."""
    return canonical(ledger_studies(wildcards))


def recognise_ledger(wildcards):
    """Look at a ledger of claims and its record."""
    stem = f"results/claims/{wildcards.ledger}"
    outputs = [f"{stem}.csv", f"{stem}.md", f"{stem}.provenance.json"]
    made = {
        "studies": ledger_studies(wildcards),
        "thresholds": config["verdict"],
        "code": code("claims"),
    }
    if recognise(outputs[-1], {"claims": made}, {"claims": outputs}):
        bring_in_order(outputs, ledger_tables(wildcards) + ledger_records(wildcards))
    return []


def protocol_results(wildcards):
    """Results and results template of every study of the original verification, and its claims."""
    files = ["results/claims/sample.md"]
    for name, _, corpus in (scope.partition("@") for scope in config["gpu_protocol"]):
        files += study_results(name, corpus or None)
        files.append(f"results/{scope_of(name, corpus)}results_template.md")
    return files


rule gpu_protocol:
    input:
        protocol_results,
    localrule: True


rule claims:
    input:
        f"results/claims/{chosen_ledger()}.md",
    localrule: True


rule ledger:
    input:
        recognise_ledger,
        tables=ledger_tables,
        records=ledger_records,
        verdicts=ledger_verdicts,
    output:
        csv="results/claims/{ledger}.csv",
        markdown="results/claims/{ledger}.md",
        record="results/claims/{ledger}.provenance.json",
    log:
        "logs/claims/{ledger}.log",
    params:
        studies=ledger_param,
        thresholds=canonical(config["verdict"]),
        code=code("claims"),
    message:
        "Claims decided by {wildcards.ledger}"
    shell:
        "python -m workflow.scripts.claims --studies {params.studies:q}"
        " --thresholds {params.thresholds:q} --csv {output.csv} --markdown {output.markdown}"
        " --code {params.code} --log {log}"
