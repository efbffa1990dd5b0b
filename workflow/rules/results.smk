# observations -> table of a run -> verdict, figures and report of a study, each with its record


rule evaluate:
    input:
        unpack(run_inputs),
    output:
        table="results/{scope}{run}.csv",
        record="results/{scope}{run}.provenance.json",
    log:
        "logs/{scope}{run}.evaluate.log",
    params:
        lineage=lineage,
        variant=variant,
    message:
        "Metrics of {wildcards.scope}{wildcards.run}"
    shell:
        "python -m workflow.scripts.evaluate --observations {input.observations}"
        " --manifest {input.manifest} --references {input.references} --text {input.text}"
        " --lineage {params.lineage:q} --variant {params.variant} --output {output.table} --log {log}"


rule verdict:
    input:
        recognise_verdict,
        tables=run_tables,
        records=run_records,
    output:
        csv="results/{scope}verdict.csv",
        markdown=report(
            "results/{scope}verdict.md",
            caption="../report/verdict.rst",
            category=study_title,
            labels={"result": "verdict"},
        ),
        record="results/{scope}verdict.provenance.json",
    log:
        "logs/{scope}verdict.log",
    params:
        question=question,
        thresholds=canonical(config["verdict"]),
        title=study_title,
        picture=picture,
        code=code_of("verdict"),
    message:
        "Verdict of {params.title}"
    shell:
        "python -m workflow.scripts.verdict --inputs {input.tables} --question {params.question:q}"
        " --thresholds {params.thresholds:q} --title {params.title:q}"
        " --csv {output.csv} --markdown {output.markdown} --picture {params.picture} --code {params.code} --log {log}"


# One rule per set of figures, because the outputs of a rule cannot depend on a wildcard.
for _rule, _names, _scopes in figure_sets():

    rule:
        name:
            _rule
        input:
            recognise_figures,
            tables=run_tables,
            records=run_records,
        output:
            images=[reported(path) for path in figures("{scope}", _names)],
            record="results/{scope}figures.provenance.json",
        log:
            "logs/{scope}figures.log",
        wildcard_constraints:
            scope=_scopes,
        params:
            question=question,
            thresholds=canonical(config["verdict"]),
            title=figure_title,
            dpi=config["figures"]["dpi"],
            code=code_of("figures"),
        message:
            "Figures of {params.title}"
        shell:
            "python -m workflow.scripts.figures --inputs {input.tables} --question {params.question:q}"
            " --thresholds {params.thresholds:q} --title {params.title:q} --dpi {params.dpi}"
            " --outputs {output.images} --record {output.record} --code {params.code} --log {log}"


rule report:
    input:
        recognise_report,
        tables=run_tables,
        records=run_records,
    output:
        html=report(
            "results/{scope}report.html",
            caption="../report/page.rst",
            category=study_title,
            labels={"result": "page"},
        ),
        record="results/{scope}report.provenance.json",
    log:
        "logs/{scope}report.log",
    params:
        question=question,
        thresholds=canonical(config["verdict"]),
        title=study_title,
        code=code_of("report"),
    message:
        "Report of {params.title}"
    shell:
        "python -m workflow.scripts.report --inputs {input.tables} --question {params.question:q}"
        " --thresholds {params.thresholds:q} --title {params.title:q} --html {output.html}"
        " --code {params.code} --log {log}"


rule results_template:
    input:
        recognise_results_template,
        tables=run_tables,
        records=run_records,
    output:
        markdown="results/{scope}results_template.md",
        record="results/{scope}results_template.provenance.json",
    log:
        "logs/{scope}results_template.log",
    params:
        question=question,
        thresholds=canonical(config["verdict"]),
        title=study_title,
        code=code_of("results_template"),
    message:
        "The original's results template for {params.title}"
    shell:
        "python -m workflow.scripts.results_template --inputs {input.tables}"
        " --question {params.question:q} --thresholds {params.thresholds:q} --title {params.title:q}"
        " --markdown {output.markdown} --code {params.code} --log {log}"


rule best_rates:
    input:
        recognise_best_rates,
        tables=run_tables,
        records=run_records,
    output:
        csv="results/{scope}best_rates.csv",
        record="results/{scope}best_rates.provenance.json",
    log:
        "logs/{scope}best_rates.log",
    params:
        question=question,
        thresholds=canonical(config["verdict"]),
        title=study_title,
        code=code_of("best_rates"),
    message:
        "Best learning rates of {params.title}"
    shell:
        "python -m workflow.scripts.best_rates --inputs {input.tables} --question {params.question:q}"
        " --thresholds {params.thresholds:q} --title {params.title:q} --csv {output.csv}"
        " --code {params.code} --log {log}"


rule error_rates:
    input:
        tables=run_tables,
        records=run_records,
    output:
        csv="results/{scope}error_rates.csv",
        markdown="results/{scope}error_rates.md",
        record="results/{scope}error_rates.provenance.json",
    log:
        "logs/{scope}error_rates.log",
    params:
        question=question,
        thresholds=canonical(config["verdict"]),
        title=study_title,
        code=code_of("error_rates"),
    message:
        "Error rates of the verdict, fitted to {params.title}"
    shell:
        "python -m workflow.scripts.error_rates --inputs {input.tables}"
        " --question {params.question:q} --thresholds {params.thresholds:q} --title {params.title:q}"
        " --csv {output.csv} --markdown {output.markdown} --code {params.code} --log {log}"


rule provenance:
    input:
        recognise_provenance,
        records=run_records,
        verdict="results/{scope}verdict.provenance.json",
        figures="results/{scope}figures.provenance.json",
    output:
        "results/{scope}provenance.json",
    log:
        "logs/{scope}provenance.log",
    params:
        code=code_of("provenance"),
    message:
        "What produced each result"
    shell:
        "python -m workflow.scripts.provenance --inputs {input.records} {input.verdict}"
        " {input.figures} --output {output} --code {params.code} --log {log}"
