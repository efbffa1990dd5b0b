"""The whole config: config.yaml, a study a file of studies/, and what a command line changes.

What a command line says counts as if the files said so. Bases of studies are written out last, so
a study that is changed changes those built on it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from bitnet.common.errors import one_of, refuse
from bitnet.config.validate import ConfigError, check
from bitnet.config.yaml_file import read_yaml


def merge(under: Mapping, over: Mapping, take_back: bool = False) -> dict:
    """Both, block by block; `over` wins. take_back: a null of `over` removes a key of `under`."""
    merged = dict(under)
    for key, value in over.items():
        if isinstance(value, Mapping) and isinstance(merged.get(key), Mapping):
            merged[key] = merge(merged[key], value, take_back)
        elif value is None and take_back and key in merged:
            del merged[key]
        else:
            merged[key] = value
    return merged


def complete(studies: Mapping, name: str) -> Any:
    """A study with all that its bases say, without nulls among its own keys.

    ConfigError for a base that is no study, or that is built on the study itself.
    """
    full: dict = {}
    if not all(isinstance(studies[each], Mapping) for each in bases(studies, name)):
        return studies[name]
    for each in reversed(bases(studies, name)):
        full = merge(full, studies[each], take_back=True)
    return {key: value for key, value in full.items() if key != "base" and value is not None}


def bases(studies: Mapping, name: str) -> list[str]:
    """A study, its base, the base's own base, and so on; ConfigError for a wrong one."""
    chain = [name]
    while isinstance(block := studies[chain[-1]], Mapping) and block.get("base") is not None:
        base, where = block["base"], ("studies", chain[-1], "base")
        if not isinstance(base, str) or base not in studies:
            raise ConfigError(where, refuse(".".join(where), base, one_of(studies, base)))
        if base in chain:
            allowed = f"a study that is not built on {chain[-1]} itself"
            raise ConfigError(where, refuse(".".join(where), base, allowed))
        chain.append(base)
    return chain


Keys = tuple  # that lead to a value of the config


@dataclass(frozen=True)
class Source:
    """One place that a part of the config is read from."""

    name: str
    """Of a file as the user knows it, studies/warmup.yaml; of an option of the command line."""
    values: Mapping
    lines: Mapping[Keys, int | None]
    """Line of each value, by the keys that lead to it in the whole config."""
    within: Keys = ()
    """Keys that lead to `values` in the whole config."""

    @classmethod
    def of(cls, path: Path, name: str, within: Keys = ()) -> "Source":
        """A YAML file; ValueError in one line for what is none."""
        values, lines = read_yaml(path, name)
        return cls(name, values, {(*within, *keys): line for keys, line in lines.items()}, within)


@cache
def read_schema(root: Path) -> dict:
    """The schema of a project's config, not to be changed."""
    return yaml.safe_load(
        (root / "workflow/schemas/config.schema.yaml").read_text(encoding="utf-8")
    )


def read_project(
    root: Path,
    path: Path | None = None,
    overrides: Iterable[Path] = (),
    changes: Mapping | None = None,
) -> dict:
    """The project's config, checked, each study with all that its bases say.

    root: folder of the project. path: the config file where it is not root/config.yaml; studies/
    lies beside it. overrides: YAML files that change it, the last one most. changes: values from
    the command line, which change it more. ValueError in one line that names the file and line.
    """
    path = Path(path or root / "config.yaml")
    sources = [Source.of(path, path.name)]
    if isinstance(sources[0].values.get("studies", {}), dict):  # else no file may hide that
        sources += _read_studies(path.parent / "studies")
    _refuse_twice(*sources)
    sources += [Source.of(Path(file), Path(file).name) for file in overrides]
    sources.append(Source("--config", changes or {}, _paths(changes or {})))
    config: dict[str, Any] = {}
    for source in sources:
        values = source.values
        for key in reversed(source.within):
            values = {key: values}
        config = merge(config, values)
    written = config.get("studies")
    try:
        if isinstance(written, dict):
            config["studies"] = {name: complete(written, name) for name in written}
        check(config, read_schema(root))
    except ConfigError as error:
        raise ValueError(_locate(error, sources, written)) from None
    return config


def _read_studies(folder: Path) -> list[Source]:
    """Files of studies; what is hidden or no YAML may lie beside them."""
    sources = []
    for path in sorted(folder.glob("[!.]*")):
        name = f"{folder.name}/{path.name}"
        if path.suffix == ".yaml":
            sources.append(Source.of(path, name, ("studies", path.stem)))
        elif path.suffix == ".yml":
            raise refuse("the name of a study's file", name, f"{folder.name}/{path.stem}.yaml")
    return sources


def _refuse_twice(main: Source, *files: Source) -> None:
    """Refuse a study that stands in config.yaml and in a file of its own."""
    for file in files:
        if line := main.lines.get(file.within):
            where = f"{main.name}, line {line}"
            raise ValueError(
                f"{file.name}: the study {file.within[-1]} stands in {where} as well; "
                "allowed: one place a study"
            )


def _paths(values: Any, keys: Keys = ()) -> dict[Keys, None]:
    """Keys that lead to each value of the command line, which has no lines."""
    paths: dict[Keys, None] = {keys: None} if keys else {}
    for key, value in values.items() if isinstance(values, Mapping) else ():
        paths |= _paths(value, (*keys, key))
    return paths


def _locate(error: ConfigError, sources: list[Source], studies: Any) -> str:
    """The complaint with the file and line that it goes back to, in that file's own words."""
    keys, owners, text = error.keys, [()], str(error)
    if study := keys[:1] == ("studies",) and keys[1:2]:
        keys = keys[2:]
        chain = study if "base" in keys else bases(studies, *study)
        owners = [("studies", name) for name in chain] + [("defaults",)] * bool(keys)
    source, owner, line = _find(owners, keys, sources)
    if study and text.startswith(f"studies.{study[0]}."):
        text = ".".join(owner) + text.removeprefix(f"studies.{study[0]}")
    if source.within:
        here = ".".join(source.within)
        for beginning, instead in (
            (f"{here}: ", ""),
            (f"{here}.", ""),
            (f"{here} ", "the study "),
            ("a key of studies ", "its name "),
        ):
            if text.startswith(beginning):
                text = instead + text.removeprefix(beginning)
                break
    return f"{source.name}, line {line}: {text}" if line else f"{source.name}: {text}"


def _find(owners: list[Keys], keys: Keys, sources: list[Source]) -> tuple[Source, Keys, int | None]:
    """Where a value, or the innermost block that should hold it, was written, and for what block.

    owners: keys of the blocks that may hold it, the first one most. The last source that has the
    value is the one that counts; a block belongs to the first.
    """
    for length in range(len(keys), -1, -1):
        for owner in owners:
            found = (*owner, *keys[:length])
            for source in sources[::-1] if length == len(keys) else sources:
                if found and found in source.lines:
                    return source, owner, source.lines[found]
    return sources[0], (), None
