"""What studies share: a study's `base` is another study, and its own keys stand over the base's.

Block by block: a list or a number takes the place of the base's, and null takes the key back.
"""

from collections.abc import Mapping
from typing import Any

from bitnet.common.errors import one_of, refuse
from bitnet.config.validate import ConfigError


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
            raise ConfigError(where, refuse(".".join(where), base, one_of(studies)))
        if base in chain:
            allowed = f"a study that is not built on {chain[-1]} itself"
            raise ConfigError(where, refuse(".".join(where), base, allowed))
        chain.append(base)
    return chain
