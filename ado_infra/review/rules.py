"""Policies that are broken, or that a stack is excused from, on one side and the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ado_infra.policies import Finding, Judgement, judge
from ado_infra.review.differences import short_name
from ado_infra.review.side import Side


@dataclass(frozen=True, kw_only=True)
class Rules:
    """What becomes of findings.

    Attributes:
        new: This branch brings them.
        gone: It mends them; one that it waives is not mended.
        standing: How many are there before and after.
        waived: Findings that the stack is excused of.
        reasons: Name of a policy → why; those alone that excuse something.
        changed: Names of policies whose waiver is new, or worded otherwise.
        withdrawn: Names of those that were waived.
    """

    new: Sequence[Finding]
    gone: Sequence[Finding]
    standing: int
    waived: Sequence[Finding]
    reasons: Mapping[str, str]
    changed: Sequence[str]
    withdrawn: Sequence[str]

    @property
    def differ(self) -> bool:
        """Whether there is anything to tell that this branch did."""
        return bool(self.new or self.gone or self.changed or self.withdrawn)


def rules(before: Side, after: Side) -> Rules:
    """What differs; one that only words its object otherwise, such as by another tag, stands."""
    judgement = _judged(after)
    reasons = {waiver.rule: waiver.why for waiver in judgement.waivers}
    waived = [each for waiver in judgement.waivers for each in waiver.excuses]
    olds, news = _by_object(_judged(before).findings), _by_object(judgement.findings)
    still = _by_object([*judgement.findings, *waived])
    new = [each for key in news for each in _more(news[key], olds.get(key, []))]
    gone = [
        each
        for key in olds
        for each in _more(olds[key], still.get(key, []))
        if each.subject or each.rule not in reasons  # a waiver that now lets something pass
    ]
    return Rules(
        new=new,
        gone=gone,
        standing=sum(map(len, news.values())) - len(new),
        waived=waived,
        reasons=reasons,
        changed=sorted(n for n, why in after.waivers.items() if before.waivers.get(n) != why),
        withdrawn=sorted(before.waivers.keys() - after.waivers.keys()),
    )


def _judged(side: Side) -> Judgement:
    return judge(side.objects, production=side.is_production, excused=side.waivers)


def _by_object(found: Sequence[Finding]) -> dict[tuple[str, str], list[Finding]]:
    """By rule and object, of a Job without the digest of its name."""
    by: dict[tuple[str, str], list[Finding]] = {}
    for each in found:
        kind, _, name = each.subject.partition("/")
        by.setdefault((each.rule, f"{kind}/{short_name(kind, name)}"), []).append(each)
    return by


def _more(some: Sequence[Finding], others: Sequence[Finding]) -> list[Finding]:
    """Those that are more than on the other side, and first those that are worded as none there."""
    said = {each.remedy for each in others}
    by_word = sorted(some, key=lambda each: each.remedy in said)
    return by_word[: max(0, len(some) - len(others))]
