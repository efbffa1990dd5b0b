# Functions: messages on the terminal, the amount of training before and the answer after.
from bitnet.common.errors import did_you_mean
from workflow.helpers.changes import changes


def announce(workflow):
    """Message on the number of trainings, their expected time and disk."""
    jobs = [job for job in needed(workflow) if job.rule.name in ("train_trunk", "train_branch")]
    slots = [job.resources.get("gpu", 0) for job in jobs]
    cluster = workflow.non_local_exec  # whose jobs do not use this machine
    names = ["a GPU"] * any(slots) if cluster else gpus_here(jobs, workflow.dryrun)
    at_once = max(1, workflow.resource_settings.nodes if cluster else workflow.cores)
    limits = workflow.global_resources  # a mapping of objects, whose get() takes no default
    if names and any(slots) and not cluster and "gpu" in limits:
        at_once = max(1, min(at_once, limits["gpu"].value // max(slots)))
    found = [Recipe.from_json(job.params.recipe) for job in jobs]
    watch = bool(jobs) and not workflow.dryrun
    watching = "\nhow far each is: python -m workflow.scripts.watch --every 5" if watch else ""
    counted = {name: names.count(name) for name in names}
    where = ", ".join(f"{n} x {name}" if n > 1 else name for name, n in counted.items())
    return budget.announcement(found, where, at_once) + watching


def chosen(workflow):
    """A line on the study that `all` is here, where that was asked for and not chosen by hand."""
    asked = any(job.rule.name in ("all", "data") for job in workflow.dag.jobs)
    if not asked or config["study"] != "auto":
        return []
    why = "nvidia-smi is on PATH" if has_cuda() else "no CUDA device"
    return [f"`all` is the study {STUDY} here ({why}); --config study=... chooses"]


def needed(workflow):
    """Jobs that a run consists of; at the end of a dry-run too, which has them all finished."""
    return workflow.dag.needrun_jobs(exclude_finished=False)


def gpus_here(jobs, dry=False):
    """Names of the GPUs that trainings have here; none where torch is not to look for any.

    Ends in one line, before anything is trained, where torch sees no GPU and a training asks for it.
    dry: without asking torch, for which a dry-run does not wait.
    """
    free = [job for job in jobs if not on_cpu(job.wildcards)]
    if dry:
        return ["a GPU"] * bool(free and has_cuda())
    names, refusal = cuda.ask() if free and has_cuda() else ([], "")
    if refusal and any(job.resources.get("gpu", 0) for job in free):
        sys.exit(f"error: {refusal}")
    return names


def check_files(workflow):
    """End in one line where the folder of a file that is to be made cannot be written.

    Inputs that are dated in the future are dated now, before hours are spent: Snakemake deletes
    outputs that seem older than their inputs.
    """
    inputs = {path for job in needed(workflow) for path in job.input}
    try:
        early = date_now(sorted(inputs))
    except OSError as error:
        sys.exit(f"error: dated in the future, and not to be dated now: {error}")
    if early:
        more = f" and {len(early) - 1} more" if len(early) > 1 else ""
        print(f"dated in the future, and now dated now: {early[0]}{more}", file=sys.stderr)
    files = {path for job in needed(workflow) for path in (*job.output, *job.log)}
    check_writable(*sorted({os.path.dirname(path) for path in files}))


MARKDOWN_ENDS = {  # rule: where the terminal stops showing the Markdown that it wrote
    "verdict": "\n<details>",
    "arithmetic_report": "\n## How it is measured",
    "stories_report": "\n## How it is measured",
    "sanity_report": "\n## How it is measured",
    "pretraining_report": "\n## ",
    "pilot_report": None,
}


def answer(workflow, brief=False):
    """Message with the verdicts that were built, and the files to open.

    brief: of each the first sentence alone.
    """
    lines, targets = [], []
    for job in workflow.dag.jobs:
        name, path = job.rule.name, getattr(job.output, "markdown", None)
        if path is None or not Path(path).exists():  # `--touch` makes nothing
            continue
        if name in MARKDOWN_ENDS:
            text = Path(path).read_text(encoding="utf-8")
            if MARKDOWN_ENDS[name]:
                text = text.split(MARKDOWN_ENDS[name])[0]
            blocks = [block for block in text.split("\n\n") if not block.startswith("![")]
            lines.append(first_sentence(blocks) if brief else "\n\n".join(blocks))
        if name == "verdict":
            folder = Path(path).parent
            targets += [f"{folder}/{file}" for file in ("report.html", "verdict.csv", "figures/")]
        elif name in (*MARKDOWN_ENDS, "claims_ledger", "compare_runtimes_of_run"):
            targets += [path, *getattr(job.output, "figures", ())]
    if not lines:
        targets = targets or wanted(workflow)
    targets = [path for path in targets if os.path.exists(path)]
    if len(targets) > MOST_TO_OPEN:
        targets[MOST_TO_OPEN:] = [f"and {len(targets) - MOST_TO_OPEN} more"]
    return "\n".join([*lines, *(["Open: " + ", ".join(targets)] if targets else [])])


MOST_TO_OPEN = 8  # files named at the end


def wanted(workflow):
    """Files of the jobs that were asked for, without records where there is something else."""
    jobs = sorted(map(list, (job.output for job in workflow.dag.targetjobs)))
    found = [path for outputs in jobs for path in outputs]
    return [path for path in found if not path.endswith(".provenance.json")] or found


def first_sentence(blocks):
    """Heading and first sentence of a report's paragraphs, in a line."""
    text = " ".join(next((b for b in blocks if not b.startswith("#")), "").split())
    return f"{blocks[0].strip('# ')}: {text.split('. ')[0].rstrip('.')}."


def planned(workflow, table):
    """Lines after a dry-run: its jobs, which keys were edited, what there is to train.

    table: of the jobs, as Snakemake says it.
    """
    if not workflow.dryrun:
        return []
    reasons = ((job.rule.name, workflow.dag.reason(job)) for job in needed(workflow))
    lines = [*chosen(workflow), *changes(reasons), announce(workflow)]
    shown = [table, ""] if HIDDEN else []  # where it is not, Snakemake has printed the table
    return [*shown, *(screen.fitted(line, sys.stderr) for line in lines)]


def watch_trainings(workflow):
    """Begin to show how far the run is, unless Snakemake itself is asked to."""
    if not HIDDEN:
        return
    jobs = [job for job in needed(workflow) if job.rule.name in ("train_trunk", "train_branch")]
    recipes = {str(job.log[0]): Recipe.from_json(job.params.recipe) for job in jobs}
    SCREEN.begin(recipes, any(job.resources.get("gpu", 0) for job in jobs))


def unknown_target(workflow, target):
    """The line on a target that no rule makes, with those most like it."""
    names = [rule.name for rule in workflow.rules if not rule.name.isdecimal()]
    for study in config["studies"]:
        names += study_results(study, config.get("corpus"))
    files = {}
    for path in names:
        files.setdefault(os.path.basename(path), path)
    hint = did_you_mean(target, names, 2)
    if not hint:
        found = did_you_mean(os.path.basename(target), files)
        hint = found and f"; did you mean {files[found.removeprefix('; did you mean ')[:-1]]}?"
    return f"target is {target!r}; allowed: a study, or the path of a file that is made here{hint}"
