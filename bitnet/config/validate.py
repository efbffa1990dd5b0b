"""Validation of the whole config: a wrong value is one line with key, value, what is allowed.

The schema says what each key may be; here is also what keys must be to each other. Free of torch.
"""

import dataclasses
import math
import re
from collections.abc import Iterator, Mapping, Sequence

from jsonschema import Draft202012Validator, validators
from jsonschema.exceptions import ValidationError, best_match, by_relevance

from bitnet.common.errors import did_you_mean, one_of, refuse, shorten
from bitnet.config.study import Study


def _is_integer(_, value) -> bool:
    """Whether a value is a Python int: JSON schema would take the float 1e3 for an integer."""
    return isinstance(value, int) and not isinstance(value, bool)


Validator = validators.extend(
    Draft202012Validator,
    type_checker=Draft202012Validator.TYPE_CHECKER.redefine("integer", _is_integer),
)


class ConfigError(ValueError):
    """One line that names a key of the config, its value and what is allowed."""

    def __init__(self, keys: Sequence[str | int], text: object):
        """keys: those that lead to the value in the whole config."""
        super().__init__(str(text))
        self.keys = tuple(keys)


def check(config: Mapping, schema: Mapping) -> None:
    """ConfigError for a config to be refused. Its studies say all that their bases do."""
    error = best_match(Validator(schema).iter_errors(config), RELEVANCE)
    if error is not None:
        raise _explain(error)
    for keys, value in _leaves(config):
        # YAML's .nan passes every comparison of a schema; -0.0 is a 0 that is spelled otherwise.
        if isinstance(value, float) and (not math.isfinite(value) or str(value) == "-0.0"):
            raise _refuse(keys, value, "a finite number, 0 without a sign")
    _check_tables(config)
    _check_number(config)
    for name, block in config["studies"].items():
        study = Study.of(config, name)
        try:
            study.check()
            if "question" in study.settings:
                study.check_ends(config["verdict"]["final_evaluations"])
        except ValueError as refused:
            keys = _keys_of(str(refused), study.settings)
            raise ConfigError(("studies", name, *keys), f"studies.{name}: {refused}") from None
        if pilot := block.get("pilot"):
            _check_pilot(study, config, pilot)


def _check_tables(config: Mapping) -> None:
    """Refuse thresholds in the wrong order, and names of studies or corpora that there are not."""
    verdict, names, corpora = config["verdict"], config["studies"], config["corpora"]
    for low, high in ORDERED:
        if verdict[low] > verdict[high]:
            raise _refuse(("verdict", low), verdict[low], f"at most {high} = {verdict[high]}")
    for key, others in (("main_study", [*names]), ("study", ["auto", *names])):
        if config[key] not in others:
            raise _refuse((key,), config[key], one_of(others, config[key]))
    asked = {name: study["question"] for name, study in names.items() if "question" in study}
    questions = [name for name, question in asked.items() if not {"axis", "metric"} & {*question}]
    ledgers = {("claims", name): scopes for name, scopes in config["claims"].items()}
    for keys, scopes in {**ledgers, ("gpu_protocol",): config["gpu_protocol"]}.items():
        for i, scope in enumerate(scopes):
            _check_scope((*keys, i), scope, questions, corpora)
    for size, scopes in config["sanity"].items():
        for kind, scope in scopes.items():
            fit = [name for name, study in names.items() if study.get("experiment") == kind]
            _check_scope(("sanity", size, kind), scope, fit, corpora)
    if config.get("override_pilot") not in (None, *names):
        raise _refuse(
            ("override_pilot",), config["override_pilot"], one_of(names, config["override_pilot"])
        )
    blocks = {(): config, ("defaults",): config["defaults"]}
    blocks |= {("studies", name): study for name, study in names.items()}
    for keys, block in blocks.items():
        if "corpus" in block and block["corpus"] not in corpora:
            raise _refuse((*keys, "corpus"), block["corpus"], one_of(corpora, block["corpus"]))


def _check_scope(keys: tuple, scope: str, studies: Sequence[str], corpora: Mapping) -> None:
    """Refuse a study@corpus of another kind of study, or of none."""
    name, _, corpus = scope.partition("@")
    if name not in studies or (corpus and corpus not in corpora):
        hint = did_you_mean(name, studies) if name not in studies else did_you_mean(corpus, corpora)
        allowed = f"{one_of(studies)}, on @ one of {', '.join(corpora)}{hint}"
        raise _refuse(keys, scope, allowed)


def _check_number(config: Mapping) -> None:
    """Refuse more runs than can be listed; the study that has most of them is to blame."""
    counts = {name: Study.of(config, name).count() for name in config["studies"]}
    most, total = max(counts, key=counts.get), sum(counts.values())
    if total > MOST_RUNS:
        value = f"{counts[most]} runs (all studies: {total})"
        complaint = refuse("grid x seeds", value, f"at most {MOST_RUNS} in all studies")
        raise ConfigError(("studies", most), f"studies.{most}: {complaint}")


def _check_pilot(study: Study, config: Mapping, name: str) -> None:
    """Refuse a pilot that is not the beginning of its study's first run."""
    studies = config["studies"]
    pilots = [
        other
        for other, block in studies.items()
        if block.get("experiment") == PILOT and other != study.name
    ]
    if name not in pilots:
        raise _refuse(("studies", study.name, "pilot"), name, one_of(pilots, name))
    pilot = Study.of(config, name)

    def differs(keys: tuple, its: object, own: object) -> ConfigError:
        text = refuse(f"pilot {name}: {keys[-1]}", its, f"the study's own, {own}")
        return ConfigError(("studies", name, *keys), f"studies.{study.name}: {text}")

    for key in ("corpus", "tokenizer"):
        if getattr(pilot, key) != getattr(study, key):
            raise differs((key,), getattr(pilot, key), getattr(study, key))
    own, its = (dataclasses.asdict(s.recipe(s.trunk(s.runs()[0]))) for s in (study, pilot))
    for block, values in own.items():
        for key in sorted(values.keys() - FREE):
            if its[block][key] != values[key]:
                raise differs((block, key), its[block][key], values[key])


RELEVANCE = by_relevance(strong=frozenset({"additionalProperties"}))  # it tells what is missing
PILOT = "pilot"
MOST_RUNS = 10_000  # of all studies: beyond it, listing them takes minutes
FREE = {"wd_switch", "evaluate_every", "evaluate_at", "samples"}  # what a pilot may do otherwise
ORDERED = (
    ("collapsed_below", "diverse_above"),
    ("blind_collapsed_share", "blind_diverse_share"),
)
RULES = {  # of a schema, in words
    "title": "{}",
    "type": "{}",
    "enum": "{}",
    "minimum": "at least {}",
    "exclusiveMinimum": "above {}",
    "maximum": "at most {}",
    "exclusiveMaximum": "below {}",
    "minItems": "of at least {}",
    "maxItems": "of at most {}",
    "minProperties": "of at least {} keys",
    "maxProperties": "of at most {} keys",
    "uniqueItems": "without repeats",
    "not": "none of {}",
}


def _refuse(keys: Sequence[str | int], value: object, allowed: str) -> ConfigError:
    """A complaint about a value, named by the keys that lead there; places in lists go unsaid."""
    named = ".".join(key for key in keys if isinstance(key, str))
    return ConfigError(keys, refuse(named, value, allowed))


def _explain(error: ValidationError) -> ConfigError:
    """A complaint of the schema in words."""
    keys = tuple(error.absolute_path)
    key = ".".join(map(str, keys)) or "config"
    if error.validator == "additionalProperties":
        known = error.schema.get("properties", {})
        odd = min(set(error.instance) - set(known), key=str)
        allowed = f"{', '.join(known)}{did_you_mean(odd, known)}"
        text = f"{key} has the unknown key {shorten(repr(odd), 80)}; allowed: {allowed}"
        return ConfigError((*keys, odd), text)
    if error.validator == "required":
        missing = next(name for name in error.validator_value if name not in error.instance)
        text = f"{key}.{missing} is missing; allowed: only with a value"
        return ConfigError((*keys, missing), text)
    if "propertyNames" in error.absolute_schema_path:
        key, keys = f"a key of {key}", (*keys, error.instance)
    allowed, found = allowed_by(error.schema), error.instance
    if spelled := _spelled(found, error.schema.get("type")):
        allowed[-1] += f"; YAML spells it {spelled}"
    elif isinstance(found, str):
        allowed[-1] += did_you_mean(found, error.schema.get("enum", ()))
    return ConfigError(keys, refuse(key, found, ", ".join(allowed)))


def allowed_by(schema: Mapping) -> list[str]:
    """What a part of a schema allows, a rule each: "number", "above 0", ..."""
    return [
        text.format(_words(schema[rule]))
        for rule, text in RULES.items()
        if rule in schema and not (rule == "type" and "title" in schema)
    ]


def _spelled(value: object, kind: object) -> str | None:
    """How YAML spells the number that a text like 5e-4 means; None where it means none."""
    if kind not in ("number", "integer") or not isinstance(value, str):
        return None
    match = re.fullmatch(r"([-+]?[0-9]+)(\.[0-9]*)?e([-+]?)([0-9]+)", value, re.IGNORECASE)
    if match is None:
        return None
    whole, rest, sign, power = match.groups()
    if kind == "integer":
        return f"{float(value):.0f}" if float(value).is_integer() else None
    return f"{whole}{rest if rest and rest != '.' else '.0'}e{sign or '+'}{power}"


def _words(rule) -> str:
    if isinstance(rule, Mapping):  # what a `not` is about
        return ", ".join(rule["enum"]) if "enum" in rule else rule["pattern"]
    parts = rule if isinstance(rule, list) else [rule]
    return " or ".join("null" if part is None else str(part) for part in parts)


def _leaves(value: object, keys: tuple = ()) -> Iterator[tuple[tuple, object]]:
    """Every value that holds no others, with the keys that lead there."""
    inner = value.items() if isinstance(value, Mapping) else enumerate(value)
    for key, part in inner:
        if isinstance(part, Mapping | list):
            yield from _leaves(part, (*keys, key))
        else:
            yield (*keys, key), part


def _keys_of(complaint: str, settings: Mapping) -> tuple:
    """Keys that lead to the value that a study complains of: a grid's before the protocol's."""
    key, _, rest = complaint.partition(" is ")
    found = named = tuple(key.split("."))
    for keys, leaf in _leaves(settings):
        names = tuple(key for key in keys if isinstance(key, str))
        if names[-len(named) :] == named and rest.startswith(f"{leaf!r}; allowed: "):
            found = keys
    return found
