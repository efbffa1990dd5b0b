"""Checks of a machine: what the pipeline needs of it, a line a check, with the remedy."""

import os
import platform
import shutil
import subprocess
import tempfile
import tomllib
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch
from huggingface_hub import constants
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from bitnet.training.precision import BF16_FROM
from bitnet.training.step import can_compile
from workflow.helpers import cuda

OK, WARN, FAIL = "ok", "warn", "fail"
GIB = 2**30
LEAST, ENOUGH = 1, 20  # GiB of free disk: for the small studies; for the 95M configuration
MADE = ("data", "models", "results", "logs")  # folders that the pipeline writes to
HUB_SECONDS = 5


@dataclass(frozen=True)
class Check:
    """The outcome of a check: OK, WARN or FAIL, what was found, and what to do about it."""

    name: str
    outcome: str
    found: str
    remedy: str = ""

    def __str__(self) -> str:
        line = f"{self.outcome:5s} {self.name:18s} {' '.join(self.found.split())}"
        return f"{line}\n{'':24s} -> {self.remedy}" if self.remedy else line


def checked(name: str, fine: bool, found: str, remedy: str, otherwise: str = FAIL) -> Check:
    """OK where `fine`, else `otherwise` and the remedy."""
    return Check(name, OK, found) if fine else Check(name, otherwise, found, remedy)


def packages(project: Path) -> Iterator[Check]:
    """Python, torch, Snakemake and all other packages against the ranges of pyproject.toml."""
    stated = tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    needed, python = stated["requires-python"], platform.python_version()
    fine = SpecifierSet(needed).contains(python)
    yield checked("Python", fine, f"{python} ({needed})", f"make a .venv with Python {needed}")
    others = []
    for requirement in map(Requirement, stated["dependencies"]):
        name, remedy = requirement.name, f"pip install '{requirement}'"
        try:
            here = version(name)
        except PackageNotFoundError:
            yield Check(name, FAIL, f"not installed ({requirement.specifier})", remedy)
            continue
        fine = requirement.specifier.contains(here, prereleases=True)
        if name in ("torch", "snakemake") or not fine:
            found = f"{here} (tested: {requirement.specifier})"
            yield checked(name, fine, found, remedy, otherwise=WARN)
        else:
            others.append(name)
    yield Check("packages", OK, f"{len(others)} others within the ranges of pyproject.toml")


def processor() -> Check:
    """Vector instructions of the CPU that torch uses."""
    known = {
        "VNNI": torch.cpu._is_vnni_supported(),  # int8 products
        "bf16": torch.cpu._is_avx512_bf16_supported(),
        "AMX": torch.cpu._is_amx_tile_supported(),
    }
    here = ", ".join(name if there else f"no {name}" for name, there in known.items())
    cores = f"{os.cpu_count()} cores"
    return Check("CPU", OK, f"{torch.backends.cpu.get_cpu_capability()}, {here}; {cores}")


def gpus() -> Iterator[Check]:
    """CUDA devices: whether torch sees what the machine has, driver, capability, memory."""
    tool = shutil.which("nvidia-smi")
    if not torch.cuda.is_available():
        unseen = "nvidia-smi is on PATH, but torch sees no CUDA device"
        found = unseen if tool else "none; trainings run on the CPU"
        yield checked("GPU", not tool, found, cuda.refusal())
        return
    driver = _first_line("nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader")
    for i in range(torch.cuda.device_count()):
        p = torch.cuda.get_device_properties(i)
        found = f"{p.name}, capability {p.major}.{p.minor}, {p.total_memory / GIB:.0f} GiB"
        found += f"; driver {driver or 'unknown'}, torch for CUDA {torch.version.cuda}"
        yield checked(
            f"GPU {i}",
            (p.major, p.minor) >= BF16_FROM,
            found,
            "nothing to do: it has no fast bfloat16, so trainings run in float32 and take longer",
            otherwise=WARN,
        )


def _first_line(*command: str) -> str | None:
    try:
        done = subprocess.run(
            command, capture_output=True, encoding="utf-8", errors="replace", timeout=20
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return next(iter(done.stdout.splitlines()), None)


def compiler() -> Check:
    """Whether long runs can go through torch.compile."""
    gpu = torch.cuda.is_available()
    fine, device = can_compile(gpu), "a GPU" if gpu else "a CPU"
    lacking = "gcc or clang, Python.h (python3-dev) and triton" if gpu else "g++ or clang++"
    return checked(
        "compiler",
        fine,
        f"{'there' if fine else 'lacking'} for torch.compile on {device}",
        f"install {lacking}; without it long runs are not compiled and take longer",
        otherwise=WARN,
    )


def disk(folder: Path) -> Check:
    """Free space where the pipeline writes."""
    free = shutil.disk_usage(folder).free / GIB
    return checked(
        "disk",
        free >= ENOUGH,
        f"{free:.1f} GiB free",
        f"{LEAST} GiB is enough for the small studies, {ENOUGH} for FineWeb-Edu",
        otherwise=WARN if free >= LEAST else FAIL,
    )


def writable(folder: Path) -> Check:
    """Whether files can be made in the folders that the pipeline writes to."""
    refused = []
    for name in MADE:
        place = folder / name if (folder / name).exists() else folder
        try:
            with tempfile.TemporaryFile(dir=place):
                pass
        except OSError as error:
            refused.append(f"{name} ({error.strerror})")
    found = f"cannot write to {', '.join(refused)}" if refused else f"to {', '.join(MADE)}"
    remedy = "change their owner, or use another folder: snakemake --directory"
    return checked("write access", not refused, found, remedy)


def hub() -> Check:
    """Whether the Hugging Face hub answers; only the text of some corpora comes from there."""
    remedy = "have the text made elsewhere (snakemake data), or build on --config corpus=stories"
    if constants.HF_HUB_OFFLINE:
        return Check("hub", WARN, "not asked: HF_HUB_OFFLINE is set", remedy)
    request = urllib.request.Request(constants.ENDPOINT, method="HEAD")
    try:
        with urllib.request.urlopen(request, timeout=HUB_SECONDS):
            pass
    except urllib.error.HTTPError:
        pass  # it answers, if only with an error
    except OSError as error:
        return Check("hub", WARN, f"{constants.ENDPOINT} does not answer ({error})", remedy)
    return Check("hub", OK, f"{constants.ENDPOINT} answers")
