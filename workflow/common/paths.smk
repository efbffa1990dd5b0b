# Functions: paths of the files of a study.


def scope_of(name, corpus=None):
    """Folder below results/, models/ and logs/: the main study owns the root of each."""
    if corpus and corpus != config["studies"][name].get("corpus", config["defaults"]["corpus"]):
        return f"{name}@{corpus}/"
    return "" if name == config["main_study"] else f"{name}/"


def study_of(wildcards):
    """The study that a scope belongs to, on the corpus that the scope names."""
    name, _, corpus = study_title(wildcards).partition("@")
    return refused(Study.of, config, name, corpus or None)


def study_data(name):
    """Data files of a study; once they exist, nothing of it needs a network."""
    study = refused(Study.of, config, name, config.get("corpus"))
    encoded = f"data/{study.corpus}/{study.tokenizer}"
    return [f"{encoded}/{kind}{study.sequence_length}.json" for kind in ("manifest", "references")]


def manifest(wildcards):
    """Manifest of a study's data."""
    study = study_of(wildcards)
    return f"data/{study.corpus}/{study.tokenizer}/manifest{study.sequence_length}.json"


def references(wildcards):
    """References of a study's data: losses of count models and the best possible loss."""
    return manifest(wildcards).replace("manifest", "references")


def study_text(wildcards):
    """Description of the text of a study."""
    return f"data/{study_of(wildcards).corpus}/text.json"


def study_tokenizer(wildcards):
    """Tokenizer of a study, and its description."""
    study = study_of(wildcards)
    model = f"data/{study.corpus}/{study.tokenizer}/tokenizer.model"
    return [model, f"{model}.json"]


def trunk_state(wildcards):
    """State of the trunk that a run branches from."""
    trunk = refused(study_of(wildcards).trunk, wildcards.run)
    return f"models/{wildcards.scope}{trunk}.trunk.safetensors"


def trunk_weights(wildcards):
    """A run's weights at the switch."""
    return trunk_state(wildcards).replace(".trunk.safetensors", ".safetensors")


def first_trunk(wildcards):
    """Observations of the trunk of a pilot's first run."""
    study = study_of(wildcards)
    return f"models/{wildcards.scope}{study.trunk(study.runs()[0])}.observations.safetensors"


def of_runs(suffix):
    """Function of wildcards: a file of every run of a study."""

    def of(wildcards):
        return [f"models/{wildcards.scope}{run}.{suffix}" for run in study_of(wildcards).runs()]

    return of


def tables_of(name, corpus=None):
    """Tables of every run of a study, on another corpus if one is given."""
    scope = scope_of(name, corpus)
    return [f"results/{scope}{run}.csv" for run in Study.of(config, name, corpus).runs()]


def run_tables(wildcards):
    """Tables of every run of a study's grid."""
    return [f"results/{wildcards.scope}{run}.csv" for run in study_of(wildcards).runs()]


def run_records(wildcards):
    """Records of every run of a study's grid."""
    return [str(records.record_of(table)) for table in run_tables(wildcards)]


def figures(scope, names):
    """Figure files of a study that has these figures."""
    suffixes = config["figures"]["formats"]
    return [f"results/{scope}figures/{name}.{suffix}" for name in names for suffix in suffixes]


def reported(path):
    """A figure, marked for Snakemake's report in the first of its formats."""
    name, _, suffix = os.path.basename(path).rpartition(".")
    if suffix != config["figures"]["formats"][0]:
        return path
    return report(
        path,
        caption="../report/figure.rst",
        category=study_title,
        labels={"result": name.replace("_", " ")},
    )


def picture(wildcards):
    """Figure that shows a study's answer, as its verdict links to it."""
    return f"figures/{study_of(wildcards).figures()[0]}.{config['figures']['formats'][0]}"


def figure_sets():
    """Sets of figures: a name, the figures, and the scopes with that set as a pattern."""
    found = {}
    for name in config["studies"]:
        names = tuple(Study.of(config, name).figures())
        of_corpus = rf"{name}@[a-z][a-z0-9_]*/"
        found.setdefault(names, []).extend([scope_of(name), of_corpus])
    for names, scopes in found.items():
        special = [name for name in names if name not in OVER_STEPS]
        yield "-".join(["figures", *special]), names, "|".join(scopes)  # no study has a "-"


def experiment_figures(kind, scope="{scope}"):
    """Figure files of an experiment."""
    return [f"results/{scope}{kind}.{suffix}" for suffix in config["figures"]["formats"]]


def experiment_results(scope, kind):
    """Files of an experiment's report: Markdown, numbers, figure."""
    if kind == "pilot":
        return [f"results/{scope}pilot.{suffix}" for suffix in ("json", "md")]
    lists = [f"results/{scope}{kind}.{suffix}" for suffix in ("md", "csv", "provenance.json")]
    return [*lists, *experiment_figures(kind, scope)]


def experiment_scopes(kind):
    """Scopes of the studies with an experiment, as a pattern."""
    names = [name for name, study in config["studies"].items() if study.get("experiment") == kind]
    scopes = [scope_of(name) for name in names]
    return "|".join([*scopes, *(rf"{name}@[a-z][a-z0-9_]*/" for name in names)]) or "(?!)"


def study_results(name, corpus=None):
    """Files with the answer to a study's question."""
    corpus = corpus or config.get("corpus")
    scope = scope_of(name, corpus)
    study = Study.of(config, name, corpus)
    if kind := study.settings.get("experiment"):
        tables = tables_of(name, corpus) if kind == "pretraining" else []
        return [*experiment_results(scope, kind), *tables]
    names = ["verdict.md", "report.html", "provenance.json"]
    names += ["best_rates.csv"] * study.chooses_rates
    lists = [f"results/{scope}{name}" for name in names]
    return [*lists, *figures(scope, study.figures()), *tables_of(name, corpus)]


def sanity_results(size):
    """Files of the decision from both sanity experiments."""
    suffixes = ["md", "csv", *config["figures"]["formats"]]
    return [f"results/sanity/{size}.{suffix}" for suffix in suffixes]


def sanity_input(experiment):
    """Function of wildcards: the report of one experiment of a size."""

    def of(wildcards):
        study = config["sanity"][wildcards.sanity][experiment]
        return f"results/{scope_of(*study.partition('@')[::2])}{experiment}.md"

    return of


def exported(wildcards, kind):
    """Path of a run in one format."""
    name = f"{wildcards.run}-{kind}.gguf" if kind in GGUF else kind
    return f"models/export/{wildcards.scope}{wildcards.run}/{name}"


def exported_folders(workflow):
    """Folders for transformers that this run makes or finds made."""
    return [job.output[0] for job in workflow.dag.jobs if job.rule.name == "export_folder"]


def packable_run():
    """The run that `compare_runtimes` compares: the headline's treatment of the study portable."""
    study = Study.of(config, "portable", config.get("corpus"))
    asked = study.question()
    values = {**study.axis_defaults(), **asked.headline}
    return run_names.spell(
        {**values, "stage2_weight_decay": asked.treatment}, study.axis_defaults()
    )


def small_model():
    """That run to publish: a folder with its card, and a GGUF file."""
    run = packable_run()
    folder = f"models/export/{scope_of('portable', config.get('corpus'))}{run}"
    return [f"{folder}/bitlinear", f"{folder}/{run}-tq2_0.gguf"]


def chosen_ledger():
    """Files of the ledger of claims that this machine can decide."""
    return "full" if has_cuda() else "quick"


def ledger_studies(wildcards):
    """Question and tables of each study that decides claims."""
    if wildcards.ledger not in config["claims"]:
        sys.exit(f"error: ledger is {wildcards.ledger!r}; allowed: {', '.join(config['claims'])}")
    found = {}
    for scope in config["claims"][wildcards.ledger]:
        name, _, corpus = scope.partition("@")
        question = Study.of(config, name).question().to_dict()
        found[scope] = {"question": question, "tables": tables_of(name, corpus or None)}
    return found


def ledger_tables(wildcards):
    """Tables of all studies of a ledger."""
    return [table for study in ledger_studies(wildcards).values() for table in study["tables"]]


def ledger_records(wildcards):
    """Records of all tables of a ledger."""
    return [str(records.record_of(table)) for table in ledger_tables(wildcards)]


def ledger_verdicts(wildcards):
    """Verdicts of the studies of a ledger, to which it refers."""
    folders = {os.path.dirname(table): None for table in ledger_tables(wildcards)}
    return [f"{folder}/verdict.md" for folder in folders]


def protocol_results(wildcards):
    """Results and results template of every study of the original verification, and its claims."""
    files = ["results/claims/sample.md"]
    for name, _, corpus in (scope.partition("@") for scope in config["gpu_protocol"]):
        files += study_results(name, corpus or None)
        files.append(f"results/{scope_of(name, corpus)}results_template.md")
    return files
