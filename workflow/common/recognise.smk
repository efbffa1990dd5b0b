# Functions: the lineage of results, and whether an existing result may stay.
from snakemake.io import IOFile

from workflow.lock import hold
from workflow.provenance.recognise import bring_in_order, forget_unreadable, stale_outputs

if workflow.is_main_process:
    _alive = hold(Path(".snakemake"))  # until this process ends
    forget_unreadable(Path(".snakemake/metadata"))


def data_lineage(study, record):
    """Lineage of a study's data, by step. record: of the result that is made from it."""
    settings, source = study.settings, config["corpora"][study.corpus]
    copied, kind = {}, settings["tokenizer"]
    if kind not in COPIED_OR_TRAINED:
        copied["sha256"] = copied_model(kind, study.corpus, study.tokenizer, record)[1]
    return {
        "text": {
            "source": source,
            **lineage_sources(study.corpus, record),
            "code": code("text", source["source"]),
        },
        "tokenizer": {
            "tokenizer": kind,
            "vocab_size": settings["vocab_size"],
            **copied,
            "code": code("tokenizer"),
        },
        "shards": {"code": code("shards")},
        "manifest": {"sequence_length": study.sequence_length, "code": code("manifest")},
        "references": {"code": code("references", source["source"])},
    }


def lineage_of(wildcards):
    """Lineage of a run's table: inputs and code by step."""
    record = f"results/{wildcards.scope}{wildcards.run}{records.SUFFIX}"
    return {
        **data_lineage(study_of(wildcards), record),
        "train": {"recipe": json.loads(recipe(wildcards)), "code": code("train")},
        "evaluate": {"code": code("evaluate"), "variant": variant(wildcards)},
    }


def lineage(wildcards):
    """Lineage of a run's table as canonical JSON."""
    return canonical(lineage_of(wildcards))


def remembered(path):
    """Whether Snakemake knows how a file was made and so compares its params."""
    return workflow.persistence.metadata(IOFile(path)) is not None


def recognise(record, expected, outputs):
    """Whether outputs unknown to Snakemake may stay; forces the stale ones to be made again."""
    *_, own = outputs.values()
    if not workflow.is_main_process:
        return False
    stale = stale_outputs(Path(record), expected, outputs, remembered)
    workflow.dag.forcefiles.update(stale)
    there = all(Path(path).exists() for path in own)
    return there and not stale and not all(map(remembered, own))


def run_inputs(wildcards):
    """Inputs of a run's table; none if a committed table may stay.

    Data and models of that one are not needed then, and are not made.
    """
    study, scope, run = study_of(wildcards), wildcards.scope, wildcards.run
    encoded = f"data/{study.corpus}/{study.tokenizer}"
    table, model = f"results/{scope}{run}.csv", f"models/{scope}{run}"
    inputs = {
        "observations": f"{model}.observations.safetensors",
        "text": f"data/{study.corpus}/text.json",
        "manifest": manifest(wildcards),
        "references": references(wildcards),
    }
    outputs = {
        "text": [f"data/{study.corpus}/text.json"],
        "tokenizer": [f"{encoded}/tokenizer.model"],
        "shards": [f"{encoded}/shards.json"],
        "manifest": [inputs["manifest"]],
        "references": [inputs["references"]],
        "train": [trunk_state(wildcards), f"{model}.safetensors"],
        "evaluate": [table, str(records.record_of(table))],
    }
    stays = recognise(records.record_of(table), lineage_of(wildcards), outputs)
    return {} if stays and not Path(inputs["observations"]).exists() else inputs


MEASURED = {"arithmetic": "answers", "stories": "samples"}  # by what an experiment's runs are


def experiment_lineage(kind):
    """Function of wildcards: lineage of what an experiment's report is made from, by step."""

    def of(wildcards):
        study, script = study_of(wildcards), MEASURED[kind]
        source = config["corpora"][study.corpus]["source"]
        recipes = {run: json.loads(study.recipe(run).to_json()) for run in study.runs()}
        return {
            **data_lineage(study, f"results/{wildcards.scope}{kind}{records.SUFFIX}"),
            "train": {"recipes": recipes, "code": code("train")},
            script: {"code": code(script, source if script == "samples" else None)},
        }

    return of


def experiment_inputs(kind):
    """Function of wildcards: what all runs came to; nothing if a committed report may stay."""

    def of(wildcards):
        measured = of_runs(f"{MEASURED[kind]}.json")(wildcards)
        made = {"title": study_title(wildcards), "code": code(f"{kind}_report")}
        expected = experiment_lineage(kind)(wildcards) | {kind: made}
        outputs = dict.fromkeys(expected, experiment_results(wildcards.scope, kind))
        stays = recognise(f"results/{wildcards.scope}{kind}{records.SUFFIX}", expected, outputs)
        return [] if stays and not any(map(os.path.exists, measured)) else measured

    return of


def recognise_verdict(wildcards):
    """Recognise a committed verdict by its record."""
    outputs = [f"results/{wildcards.scope}verdict.{kind}" for kind in ("csv", "md")]
    made = judged_by(wildcards, "verdict") | {"picture": picture(wildcards)}
    return recognise_study(wildcards, "verdict", made, outputs)


def recognise_report(wildcards):
    """Recognise a committed report by its record."""
    outputs = [f"results/{wildcards.scope}report.html"]
    return recognise_study(wildcards, "report", judged_by(wildcards, "report"), outputs)


def recognise_results_template(wildcards):
    """Recognise a committed results template by its record."""
    part = "results_template"
    outputs = [f"results/{wildcards.scope}{part}.md"]
    return recognise_study(wildcards, part, judged_by(wildcards, part), outputs)


def recognise_best_rates(wildcards):
    """Recognise a committed table of best learning rates by its record."""
    part = "best_rates"
    outputs = [f"results/{wildcards.scope}{part}.csv"]
    return recognise_study(wildcards, part, judged_by(wildcards, part), outputs)


def judged_by(wildcards, script):
    """Question, thresholds, title and code of a script on a study's tables."""
    return {
        "question": study_of(wildcards).question().to_dict(),
        "thresholds": config["verdict"],
        "title": study_title(wildcards),
        "code": code(script),
    }


def recognise_figures(wildcards):
    """Recognise a study's committed figures by their record."""
    made = {
        "question": study_of(wildcards).question().to_dict(),
        "thresholds": config["verdict"],
        "title": figure_title(wildcards),
        "dpi": config["figures"]["dpi"],
        "code": code("figures"),
    }
    outputs = figures(wildcards.scope, study_of(wildcards).figures())
    return recognise_study(wildcards, "figures", made, outputs)


def recognise_ledger(wildcards):
    """Recognise a committed ledger of claims by its record."""
    stem = f"results/claims/{wildcards.ledger}"
    outputs = [f"{stem}.csv", f"{stem}.md", f"{stem}.provenance.json"]
    made = {
        "studies": ledger_studies(wildcards),
        "thresholds": config["verdict"],
        "code": code("claims"),
    }
    if recognise(outputs[-1], {"claims": made}, {"claims": outputs}):
        named = ledger_verdicts(wildcards)
        bring_in_order(outputs, ledger_tables(wildcards) + ledger_records(wildcards) + named)
    return []


def recognise_study(wildcards, part, made, outputs):
    """Recognise committed outputs that are made from all tables of a study."""
    record = f"results/{wildcards.scope}{part}.provenance.json"
    outputs = [*outputs, record]
    if recognise(record, {part: made}, {part: outputs}):
        bring_in_order(outputs, run_tables(wildcards) + run_records(wildcards))
    return []


def recognise_provenance(wildcards):
    """Recognise a committed list of provenance: made from records alone, its seal and date count."""
    scope = wildcards.scope
    listing = f"results/{scope}provenance.json"
    if workflow.is_main_process and os.path.exists(listing) and not described(listing):
        say(f"{listing} is damaged: it is made again")
        workflow.dag.forcefiles.add(listing)
    elif workflow.is_main_process and not remembered(listing):
        others = [f"results/{scope}{part}.provenance.json" for part in ("verdict", "figures")]
        bring_in_order([listing], [*others, *run_records(wildcards)])
    return []
