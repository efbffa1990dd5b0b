# Functions: params and resources of rules, each a string or number that Snakemake can compare.


def text_source(wildcards):
    """A block of corpora as canonical JSON."""
    if wildcards.corpus not in config["corpora"]:
        sys.exit(f"error: corpus is {wildcards.corpus!r}; allowed: {', '.join(config['corpora'])}")
    return canonical(config["corpora"][wildcards.corpus])


def code_of(script):
    """A function that gives the fingerprint of a script, read where a job asks for it alone."""
    return lambda wildcards: code(script)


def code_by_source(script):
    """Function of wildcards: fingerprint of a script for the text of a corpus or a study."""

    def of(wildcards):
        corpus = wildcards.get("corpus") or study_of(wildcards).corpus
        return code(script, config["corpora"].get(corpus, {}).get("source"))

    return of


def text_parts(wildcards):
    """Most files of a corpus's training text, which is how many can be encoded at once."""
    source = json.loads(text_source(wildcards))
    return -(-source["train_bytes"] // source.get("part_bytes", parts.PART_BYTES))


def tokenizer_flag(wildcards):
    """Flags of the script `tokenizer` that select the kind of tokenizer, before its text."""
    kind, _ = tokenizer_settings(wildcards)
    if kind in COPIED_OR_TRAINED:
        return COPIED_OR_TRAINED[kind]
    path, digest = copied_model(kind, wildcards.corpus, wildcards.tokenizer)
    if digest is None:
        kinds = ", ".join(COPIED_OR_TRAINED)
        sys.exit(f"error: tokenizer is {kind!r}; allowed: {kinds}, or the path of a file")
    return f"--sha256 {digest} --model {shlex.quote(path)} --sample"


COPIED_OR_TRAINED = {"bpe": "--text", "characters": "--characters", "mistral": "--mistral --sample"}


def tokenizer_size(wildcards):
    """Number of pieces of a tokenizer."""
    return tokenizer_settings(wildcards)[1]


def recipe(wildcards):
    """Canonical JSON of the recipe of a run or a trunk."""
    name = wildcards.get("run") or wildcards.get("trunk")
    return refused(study_of(wildcards).recipe, name).to_json()


def variant(wildcards):
    """A run's variant: the parts of its name without a column of their own."""
    return refused(run_names.variant_of, wildcards.run, study_of(wildcards).axis_defaults())


def device(wildcards):
    """Where a training runs: what the command line says, else its study."""
    return config.get("device") or study_of(wildcards).settings["device"]


def on_cpu(wildcards):
    """Whether a training is to run on the CPU, whatever devices there are."""
    return set(device(wildcards).split(",")) == {"cpu"}


def gpu_slots(wildcards):
    """Slots of the resource gpu that one process takes: what its study says, none on the CPU."""
    return 0 if on_cpu(wildcards) else study_of(wildcards).settings["gpu"]


def training_gpu_slots(wildcards):
    """Slots of the resource gpu that all processes of a training take."""
    return gpu_slots(wildcards) * study_of(wildcards).settings["processes"]


def training_threads(wildcards):
    """CPU threads that all processes of a training take."""
    study = study_of(wildcards)
    return study.threads * study.settings["processes"]


def device_flags(wildcards):
    """Flags of a training for its device. Where there should be a GPU, none will be refused."""
    cluster = workflow.non_local_exec or workflow.remote_exec  # as its jobs see it
    due = gpu_slots(wildcards) and (cluster or has_cuda())
    return f"--device {device(wildcards)}{' --require-gpu' if due else ''}"


def launcher(wildcards):
    """Command that starts the module of a training: python, or torchrun on each of its nodes."""
    settings = study_of(wildcards).settings
    processes, nodes = settings["processes"], settings["nodes"]
    if processes == 1:
        return "python -m"
    many = (
        f"python -m workflow.helpers.launch --nnodes {nodes} --nproc-per-node {processes // nodes}"
    )
    if nodes > 1 and shutil.which("srun"):
        cpus = processes // nodes * settings["threads"]
        each = f"--ntasks-per-node=1 --cpus-per-task={cpus} --kill-on-bad-exit=1"
        many = f"srun --nodes={nodes} {each} {many}"
    return f"{many} -m --"


def training_nodes(wildcards):
    """Machines that the processes of a training are spread over."""
    return study_of(wildcards).settings["nodes"]


def several_nodes(value):
    """Function of wildcards: value(settings) where a training takes several nodes, else None."""

    def of(wildcards):
        settings = {**study_of(wildcards).settings, "gpu": gpu_slots(wildcards)}
        return value(settings) if settings["nodes"] > 1 else None

    return of


# What SLURM is asked for where one training takes several nodes: one task on each, in which the
# job's own srun starts the processes. (A resource that is None is not there.)
SEVERAL_NODES = {
    "mpi": several_nodes(lambda s: "srun"),
    "tasks": several_nodes(lambda s: s["nodes"]),
    "tasks_per_gpu": several_nodes(lambda s: 0),
    "cpus_per_task": several_nodes(lambda s: s["threads"] * s["processes"] // s["nodes"]),
    "slurm_extra": several_nodes(
        lambda s: s["gpu"] and f"--gpus-per-node={s['gpu'] * s['processes'] // s['nodes']}" or None
    ),
}


def minutes(wildcards):
    """Minutes after which a cluster may end a training."""
    gpu = gpu_slots(wildcards) > 0
    return budget.limit_minutes(Recipe.from_json(recipe(wildcards)), gpu)


def watch(wildcards):
    """Flags of a training for anomaly limits and TensorBoard."""
    settings = study_of(wildcards).settings
    limits = f"--anomalies {shlex.quote(canonical(settings['anomalies']))}"
    return f"{limits} --tensorboard" if settings["tensorboard"] else limits


def checkpoints(wildcards):
    """Flag of a training for the steps between two checkpoints; none where that is left to time."""
    every = study_of(wildcards).settings["checkpoint_every"]
    return f"--checkpoint-every {every}" if every else ""


def overridden(wildcards):
    """The flag that trains a study against its pilot's decision, if the config names the study."""
    named = config.get("override_pilot") == study_of(wildcards).name
    return "--override-pilot" if named else ""


def limits(wildcards):
    """Limits of the anomaly rules of a study as canonical JSON."""
    return canonical(study_of(wildcards).settings["anomalies"])


def question(wildcards):
    """A study's question as canonical JSON."""
    return refused(study_of(wildcards).question).to_json()


def study_title(wildcards):
    """A study's name, with its corpus if another one was chosen."""
    return Path(wildcards.scope).name or config["main_study"]


def figure_title(wildcards):
    """Title of a figure."""
    return config["figures"]["title"] or study_title(wildcards)


def study_source(wildcards):
    """The block of corpora of a study as canonical JSON."""
    return canonical(config["corpora"][study_of(wildcards).corpus])


def ledger_param(wildcards):
    """The studies of a ledger as canonical JSON."""
    return canonical(ledger_studies(wildcards))


def runtime_flags(wildcards, input):
    """The inputs of `compare_runtimes` as flags."""
    given = {key: path for key, path in input.items() if key != "tokenizer"}
    return " ".join(f"--{key} {shlex.quote(str(path))}" for key, path in given.items())
