# Functions: params and resources of rules, each a string or a number that Snakemake compares.


def text_source(wildcards):
    """A block of corpora as canonical JSON."""
    if wildcards.corpus not in config["corpora"]:
        sys.exit(f"error: corpus is {wildcards.corpus!r}; allowed: {', '.join(config['corpora'])}")
    return canonical(config["corpora"][wildcards.corpus])


def code_of(script):
    """A function that gives the fingerprint of a script, read where a job asks for it alone."""
    return lambda wildcards: code(script)


def code_by_source(script):
    """A function that gives the fingerprint of a script for the text of a corpus or a study."""

    def of(wildcards):
        corpus = wildcards.get("corpus") or study_of(wildcards).corpus
        return code(script, config["corpora"].get(corpus, {}).get("source"))

    return of


def text_parts(wildcards):
    """Files of a corpus's training text at most: so many can be encoded at once."""
    source = json.loads(text_source(wildcards))
    return -(-source["train_bytes"] // source.get("part_bytes", parts.PART_BYTES))


def tokenizer_flag(wildcards):
    """How the script is told what that is."""
    flags = {"bpe": "--text", "characters": "--characters", "mistral": "--mistral"}
    return flags.get(tokenizer_settings(wildcards)[0], "--model")


def tokenizer_size(wildcards):
    """Pieces of a tokenizer."""
    return tokenizer_settings(wildcards)[1]


def recipe(wildcards):
    """Canonical JSON of the recipe of a run or a trunk."""
    name = wildcards.get("run") or wildcards.get("trunk")
    return refused(study_of(wildcards).recipe, name).to_json()


def variant(wildcards):
    """What a run's name says beside size, decay, optimizer, weights and learning rate."""
    return refused(run_names.variant_of, wildcards.run, study_of(wildcards).axis_defaults())


def setting(key):
    """A function that gives a study's setting."""

    def of(wildcards):
        return study_of(wildcards).settings[key]

    return of


def of_processes(key):
    """A function that gives a setting of one process times the processes of a training."""

    def of(wildcards):
        settings = study_of(wildcards).settings
        return settings[key] * settings["processes"]

    return of


def launcher(wildcards):
    """What a training's module is started with."""
    processes = study_of(wildcards).settings["processes"]
    many = f"torchrun --standalone --nproc-per-node {processes} -m --"
    return many if processes > 1 else "python -m"


def watch(wildcards):
    """Flags of what watches a training."""
    settings = study_of(wildcards).settings
    limits = f"--anomalies {shlex.quote(canonical(settings['anomalies']))}"
    return f"{limits} --tensorboard" if settings["tensorboard"] else limits


def overridden(wildcards):
    """The flag that trains a study whatever its pilot says, where the command line names it."""
    named = config.get("override_pilot") == study_of(wildcards).name
    return "--override-pilot" if named else ""


def limits(wildcards):
    """Limits of the rules that a training is watched by."""
    return canonical(study_of(wildcards).settings["anomalies"])


def question(wildcards):
    """What a study's verdict compares."""
    return refused(study_of(wildcards).question).to_json()


def study_title(wildcards):
    """A study's name, with its corpus where that was chosen."""
    return Path(wildcards.scope).name or config["main_study"]


def figure_title(wildcards):
    """What stands above a figure."""
    return config["figures"]["title"] or study_title(wildcards)


def study_source(wildcards):
    """The block of corpora of a study as canonical JSON."""
    return canonical(config["corpora"][study_of(wildcards).corpus])


def ledger_param(wildcards):
    """The studies of a ledger as one string that a rule can be judged by."""
    return canonical(ledger_studies(wildcards))


def runtime_flags(wildcards, input):
    """The same as flags."""
    given = {key: path for key, path in input.items() if key != "tokenizer"}
    return " ".join(f"--{key} {shlex.quote(str(path))}" for key, path in given.items())
