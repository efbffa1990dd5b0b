"""Wording of outcomes: their names, meanings and headlines, as they fit a question.

Placeholders: {change} is 'Stage-2 WD 0 instead of 0.05', {t} and {c} are the names of the arms,
{metric} is the metric's column.
"""

from collections.abc import Mapping

from bitnet.config.question import COUNT, Question

# Without a shared trunk nothing was broken before: a treatment can prevent a collapse, not fix it.
PREVENTS = {
    "fixed": "prevented",
    "no effect (nothing to fix)": "no effect (nothing to prevent)",
}

MEANINGS = {
    "no verdict": "too few seeds that can be compared",
    "harmful": "{t} gives less diverse predictions than {c}, by more than the equivalence ratio",
    "fixed": "most trunks collapsed, most runs diverse with {t}, few with {c}, {t} above {c}",
    "recovers either way": "most trunks collapsed, most runs of both arms diverse",
    "no effect": "diversity and loss of the arms are equivalent (both TOSTs pass)",
    "no effect (nothing to fix)": "the same, where most trunks had not collapsed",
    "helps": "{t} gives more diverse predictions, by more than the equivalence ratio, but no fix",
    "inconclusive": "none of these is shown",
}
MEANINGS_APART = {
    "prevented": "most runs with {c} ended collapsed, most with {t} diverse, {t} above {c}",
    "no effect (nothing to prevent)": "the same, where most runs with {c} did not end collapsed",
}
MEANINGS_OF_METRIC = {
    "harmful": "{t} gives worse {metric} than {c}, by more than the margin",
    "no effect": "{metric} and loss of the arms are equivalent (both TOSTs pass)",
    "helps": "{t} gives better {metric}, by more than the margin, but collapse is as with {c}",
}

LEADS = {
    "harmful": "{change} made decoding more degenerate",
    "fixed": "{change} fixed degenerate decoding",
    "recovers either way": "Decoding recovered with either weight decay, {change} was not needed",
    "no effect": "{change} did not fix degenerate decoding, the arms are equal",
    "no effect (nothing to fix)": "{change} had nothing to fix and changed nothing",
    "helps": "{change} made predictions more diverse, which is less than a fix",
    "inconclusive": "Undecided whether {change} fixes degenerate decoding",
    "no verdict": "No verdict on whether {change} fixes degenerate decoding",
}
LEADS_APART = {
    "prevented": "{change} prevented degenerate decoding",
    "no effect": "{change} did not prevent degenerate decoding, the arms are equal",
    "no effect (nothing to prevent)": "{change} had nothing to prevent and changed nothing",
    "helps": "{change} made predictions more diverse, without preventing a collapse",
    "inconclusive": "Undecided whether {change} prevents degenerate decoding",
    "no verdict": "No verdict on whether {change} prevents degenerate decoding",
}
LEADS_OF_METRIC = {
    "harmful": "{change} made {metric} worse",
    "no effect": "{change} did not change {metric}, the arms are equal",
    "helps": "{change} made {metric} better",
    "inconclusive": "Undecided whether {change} makes {metric} better",
    "no verdict": "No verdict on whether {change} makes {metric} better",
}

ASKED = "in small BitNet b1.58 models?"


def named(outcome: str, question: Question) -> str:
    """Name of a rule's outcome in a study of this question ("fixed" may be "prevented")."""
    return outcome if question.shares_trunk else PREVENTS.get(outcome, outcome)


def meanings(question: Question) -> dict[str, str]:
    """Meaning of each outcome by its name, in the order of the rule."""
    texts = _chosen(question, MEANINGS, MEANINGS_APART, MEANINGS_OF_METRIC)
    outcomes = [o for o in MEANINGS if question.shares_trunk or o != "recovers either way"]
    return {name: texts[name] for name in (named(outcome, question) for outcome in outcomes)}


def lead(outcome: str, question: Question) -> str:
    """First words of the headline for an outcome, by its name as `named` returns it."""
    return _chosen(question, LEADS, LEADS_APART, LEADS_OF_METRIC)[outcome]


def asked(question: Question) -> str:
    """The study's question as one sentence."""
    said, metric = (
        question.change.replace("Stage-2 WD", "Stage-2 weight decay"),
        question.metric,
    )
    if metric.column != COUNT:
        return f"Does {said} make {metric.column} {metric.better} {ASKED}"
    return (
        f"Does {said} {'fix' if question.shares_trunk else 'prevent'} degenerate decoding {ASKED}"
    )


def _chosen(question: Question, usual: Mapping, apart: Mapping, of_metric: Mapping) -> dict:
    metric = question.metric.column
    texts = dict(usual) if question.shares_trunk else {**usual, **apart}
    texts |= of_metric if metric != COUNT else {}
    arms = {arm[0]: question.arm_name(arm) for arm in ("treatment", "control")}
    words = {"change": question.change, "metric": metric, **arms}
    return {name: text.format(**words) for name, text in texts.items()}
