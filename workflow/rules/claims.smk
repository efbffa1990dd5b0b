# tables of several studies -> ledger of the original reports' claims


rule gpu_protocol:
    input:
        protocol_results,
    localrule: True


rule claims:
    input:
        f"results/claims/{chosen_ledger()}.md",
    localrule: True


rule claims_ledger:
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
        code=code_of("claims"),
    message:
        "Claims decided by {wildcards.ledger}"
    shell:
        "python -m workflow.scripts.claims --studies {params.studies:q}"
        " --thresholds {params.thresholds:q} --csv {output.csv} --markdown {output.markdown}"
        " --code {params.code} --log {log}"
