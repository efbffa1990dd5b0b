"""Tasks for EleutherAI's lm-evaluation-harness (`lm_eval`), and its run on an exported folder.

Two tasks are written to a folder, a YAML file and a JSON-lines file each. `held_out`: bits per byte
of held-out documents. `recall`: questions of `bitnet.data.stories.questions`, accuracy.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from bitnet.common.files import whole_folder
from bitnet.data.stories.questions import Question

HELD_OUT, RECALL = "held_out", "recall"
TASKS: dict[str, dict[str, Any]] = {
    HELD_OUT: {
        "output_type": "loglikelihood_rolling",
        "doc_to_text": "",
        "doc_to_target": "text",
        "metric_list": [
            {"metric": "bits_per_byte", "aggregation": "bits_per_byte", "higher_is_better": False}
        ],
    },
    RECALL: {
        "output_type": "multiple_choice",
        "doc_to_text": "context",
        "doc_to_choice": "choices",
        "doc_to_target": "answer",
        "metric_list": [{"metric": "acc", "aggregation": "mean", "higher_is_better": True}],
    },
}
# bos stands before each document, is read and never predicted. The harness does so by itself where
# its tokenizer adds none; with add_bos_token=True it would predict bos too. Contexts of `recall`
# begin with bos as text.
MODEL = "pretrained={},add_bos_token=False,dtype=float32"
ERROR_LINE = re.compile(r"[\w.]*(Error|Exception)\b")  # the last line of a traceback
QUIET = {"OMP_NUM_THREADS": "1", "TORCHDYNAMO_DISABLE": "1", "HF_HUB_OFFLINE": "1"}


def write_tasks(
    path: str | Path, documents: Sequence[str], asked: Sequence[Question], bos: str
) -> list[str]:
    """Write the tasks that have documents or questions to a folder; returns their names.

    bos: how the tokenizer spells bos. Task files name their data by the folder's path as given.
    """
    rows = {
        HELD_OUT: [{"text": text} for text in documents],
        RECALL: [
            {"context": bos + q.context, "choices": q.choices, "answer": q.answer} for q in asked
        ],
    }
    names = [name for name in TASKS if rows[name]]
    with whole_folder(path) as folder:
        for name in names:
            data = {"data_files": {"test": str(Path(path) / f"{name}.jsonl")}}
            task = {"task": name, "dataset_path": "json", "dataset_kwargs": data}
            task |= {"test_split": "test", **TASKS[name], "metadata": {"version": 1.0}}
            _write(folder / f"{name}.yaml", [task])  # JSON is YAML
            _write(folder / f"{name}.jsonl", rows[name])
    return names


def _write(path: Path, rows: Iterable[Mapping]) -> None:
    lines = (json.dumps(row, ensure_ascii=False) for row in rows)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def run_harness(
    model: str | Path, tasks: str | Path, names: Sequence[str], arguments: str = MODEL
) -> dict[str, dict[str, float]]:
    """Metrics of each task by the harness, of a folder for transformers, on the CPU.

    It runs in a process of its own, without a network and on one thread. ValueError in one line
    where it fails.
    """
    with tempfile.TemporaryDirectory() as written:
        command = [sys.executable, "-m", "lm_eval", "--model", "hf"]
        command += ["--model_args", arguments.format(model), "--include_path", str(tasks)]
        command += ["--tasks", ",".join(names), "--device", "cpu", "--batch_size", "8"]
        done = subprocess.run(
            [*command, "--output_path", written],
            env={**os.environ, **QUIET, "HF_DATASETS_CACHE": f"{written}/cache"},
            capture_output=True,
            encoding="utf-8",
            errors="replace",
        )
        found = list(Path(written).rglob("results_*.json"))
        if done.returncode or not found:
            said = done.stderr.strip().splitlines() or ["no message"]
            named = [line for line in said if ERROR_LINE.match(line)]  # not a bar of progress
            raise ValueError(f"lm_eval does not run {model}: {(named or said)[-1]}")
        results = json.loads(found[0].read_text(encoding="utf-8"))["results"]
    return {
        name: {key.removesuffix(",none"): v for key, v in results[name].items() if "," in key}
        for name in names
    }
