# Functions: messages on the terminal, the amount of training before and the answer after.


def announce(workflow):
    """Message on the number of trainings and their expected time."""
    jobs = [
        job
        for job in workflow.dag.needrun_jobs()
        if job.rule.name in ("train_trunk", "train_branch")
    ]
    slots = [job.resources.get("gpu", 0) for job in jobs]
    cluster = workflow.non_local_exec  # whose jobs do not use this machine
    names = ["a GPU"] * any(slots) if cluster else gpus_here(jobs)
    at_once = max(1, workflow.resource_settings.nodes if cluster else workflow.cores)
    limits = workflow.global_resources  # a mapping of objects, whose get() takes no default
    if names and any(slots) and not cluster and "gpu" in limits:
        at_once = max(1, min(at_once, limits["gpu"].value // max(slots)))
    found = [Recipe.from_json(job.params.recipe) for job in jobs]
    watching = "\nhow far each is: python -m workflow.scripts.watch --every 5" if jobs else ""
    counted = {name: names.count(name) for name in names}
    where = ", ".join(f"{n} x {name}" if n > 1 else name for name, n in counted.items())
    return budget.announcement(found, where, at_once) + watching


def gpus_here(jobs):
    """Names of the GPUs that trainings have here; none where torch is not to look for any.

    Ends in one line, before anything is trained, where torch sees no GPU and a training asks for it.
    """
    free = [job for job in jobs if not on_cpu(job.wildcards)]
    names, refusal = cuda.ask() if free and has_cuda() else ([], "")
    if refusal and any(job.resources.get("gpu", 0) for job in free):
        sys.exit(f"error: {refusal}")
    return names


def answer(workflow):
    """Message with the verdicts that were built, and the files to open."""
    lines, targets = [], []
    for job in workflow.dag.jobs:
        if job.rule.name == "verdict":
            told = Path(job.output.markdown).read_text().split("\n<details>")[0]
            blocks = told.split("\n\n")
            lines.append("\n\n".join(block for block in blocks if not block.startswith("![")))
            folder = Path(job.output.markdown).parent
            targets += [f"{folder}/{name}" for name in ("report.html", "verdict.csv", "figures/")]
        if job.rule.name in ("arithmetic_report", "stories_report", "sanity_report"):
            lines.append(Path(job.output.markdown).read_text().split("\n## How it is measured")[0])
            targets += [job.output.markdown, *job.output.figures]
        if job.rule.name == "pretraining_report":
            lines.append(Path(job.output.markdown).read_text().split("\n## ")[0])
            targets += [job.output.markdown, *job.output.figures]
        if job.rule.name == "pilot_report":
            lines.append(Path(job.output.markdown).read_text())
            targets.append(job.output.markdown)
        if job.rule.name in ("claims_ledger", "compare_runtimes_of_run"):
            targets.append(job.output.markdown)
    if not lines:
        targets = targets or [path for job in workflow.dag.targetjobs for path in job.output]
    return "\n".join([*lines, *(["Open: " + ", ".join(targets)] if targets else [])])
