"""The parts of a report that are about one stack, as lines of Markdown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Final

from ado_infra.policies import Finding
from ado_infra.review import engine
from ado_infra.review.alarms import Alarm, Gravity
from ado_infra.review.capacity import ROWS, written
from ado_infra.review.comparison import Comparison
from ado_infra.review.differences import Change, Field, Hidden, Verdict
from ado_infra.review.escaping import HIDDEN, NOTHING, code, looks_secret, message, value
from ado_infra.review.markdown import FEW, counted, folded, left_out, some, table
from ado_infra.review.picture import picture
from ado_infra.review.pods import Bounds
from ado_infra.review.rolling import Roll, in_pod

_AT_STAKE: Final = {
    Gravity.DATA: "data",
    Gravity.GOES: "goes",
    Gravity.REACHED: "reached",
    Gravity.RESTARTS: "restarts",
}
_LINES_OF_A_PROBLEM: Final = 12


def section(each: Comparison, rows: int) -> Iterator[str]:
    """What is told of a stack in the open."""
    yield f"### {code(each.stack)}: {_summary(each)}"
    yield ""
    if each.before is None:
        yield "The stack is new: all of it would be made."
        yield ""
    if each.after is None:
        yield (
            "**The stack's file is gone.** That alone destroys nothing: what is deployed runs on, "
            "and nobody can change it. `pulumi destroy` it before this is merged."
        )
        yield ""
    yield from _problems(each)
    yield from _alarms(each.alarms, rows)
    if each.before is not None:
        yield from _rolls(each.rolls, rows)
        yield from _images(each, rows)
    yield from _capacity(each)
    yield from _replicas(each, rows)
    yield from _connections(each, rows)
    yield from _settings(each, rows)
    yield from _policies(each, rows)
    yield from engine.beside(each, rows)
    yield from _picture(each)


def details(each: Comparison, rows: int) -> Iterator[str]:
    """What is folded."""
    if each.changes:
        objects = counted(len(each.changes), "object")
        yield from folded(
            f"{each.stack}: {objects}, field by field",
            table(("object", "", "what differs"), _objects(each.changes, rows), rows),
        )
    yield from engine.folds(each, rows)


def _summary(each: Comparison) -> str:
    if each.after is None:
        return "removed"
    if each.problems:
        return "**cannot be compared**"
    counts = Counter(change.verdict for change in each.changes)
    words = {
        "deleted": counts[Verdict.DELETED],
        "replaced": counts[Verdict.REPLACED],
        "changed": counts[Verdict.CHANGED] + counts[Verdict.ROLLED] + counts[Verdict.LEFT],
        "new": counts[Verdict.CREATED],
    }
    told = [f"{number} {word}" for word, number in words.items() if number]
    if counts[Verdict.AGAIN]:
        told.append(f"{counted(counts[Verdict.AGAIN], 'Job')} anew")
    if counts[Verdict.ROLLED]:
        told.append(f"pods of {counted(counts[Verdict.ROLLED], 'workload')} roll")
    if each.rules and each.rules.new:
        told.append(f"**{counted(len(each.rules.new), 'policy finding')}**")
    words = ", ".join(told) or "no object changes"
    if each.beside:
        words += f"; by the engine's preview {counted(len(each.beside), 'resource')} more"
    return words


def _problems(each: Comparison) -> Iterator[str]:
    for side, problem in each.problems:
        effect = "its objects are not known" if side != "this branch" else "**it is refused**"
        yield f"- `{side}` cannot be rendered, {effect}:"
        lines = [line.strip() for line in problem.strip().splitlines() if line.strip()]
        yield from (f"  - {message(line)}" for line in lines[:_LINES_OF_A_PROBLEM])
        if len(lines) > _LINES_OF_A_PROBLEM:
            yield f"  - … and {len(lines) - _LINES_OF_A_PROBLEM} lines more"
    if each.problems:
        yield ""
    yield from engine.errors(each)


def _alarms(alarms: Sequence[Alarm], rows: int) -> Iterator[str]:
    if not alarms:
        return
    yield "**Look here first**"
    yield ""
    # What happens to many at once is one line.
    groups: dict[str, list[Alarm]] = {}
    for each in alarms:
        groups.setdefault(repr(replace(each, subject="")), []).append(each)
    for group in [*groups.values()][:rows]:
        first = group[0]
        most = rows if first.gravity is Gravity.DATA else FEW
        subjects = some([code(each.subject) for each in group], most)
        if len(group) > 1:
            subjects = f"each of {subjects}"
        where = f" ({some([code(path) for path in first.paths])})" if first.paths else ""
        key = first.paths[0] if first.paths else first.subject
        changed = f": {_pair(key, *first.values)}" if first.values else ""
        yield f"- **{_AT_STAKE[first.gravity]}** {subjects} {first.words}{where}{changed}"
    yield from left_out(len(groups), rows, "- ")
    yield ""


def _rolls(rolls: Sequence[Roll], rows: int) -> Iterator[str]:
    if rolls:
        yield "**Pods that roll, and why**"
        yield ""
        told = ((code(each.change.title), _pods(each), _why(each)) for each in rolls)
        yield from table(("whose", "pods", "why"), told, rows)


def _pods(roll: Roll) -> str:
    if roll.change.verdict is Verdict.AGAIN:
        return "a Job, anew"
    return str(roll.pods) if roll.pods else NOTHING


def _why(roll: Roll) -> str:
    told = [f"reads {code(each)}" for each in roll.read]
    told += [code(in_pod(each.path)) for each in roll.fields]
    if not told:
        told = [code(each.path) for each in roll.change.fields]
    return some(told)


def _images(each: Comparison, rows: int) -> Iterator[str]:
    if each.images:
        yield "**Images**"
        yield ""
        told = (
            (
                code(image.before) if image.before else NOTHING,
                code(image.after) if image.after else NOTHING,
                some([code(owner) for owner in image.owners]),
            )
            for image in each.images
        )
        yield from table(("before", "after", "of"), told, rows)


def _capacity(each: Comparison) -> Iterator[str]:
    if not each.comparable:
        return
    olds, news = each.capacity
    told = [
        (
            row,
            _amount(row, olds[row].minimum, news[row].minimum),
            _amount(row, olds[row].maximum, news[row].maximum),
        )
        for row in ROWS
        if olds[row] != news[row]
    ]
    if told:
        yield "**Room in the cluster**"
        yield ""
        yield from table(("in total", "at the fewest pods", "at the most"), told, len(told))


def _amount(row: str, before: Decimal, after: Decimal) -> str:
    if before == after:
        return written(row, after)
    sign = "+" if after > before else "-"
    difference = f"{sign}{written(row, abs(after - before))}"
    return f"{written(row, before)} → {written(row, after)} (**{difference}**)"


def _replicas(each: Comparison, rows: int) -> Iterator[str]:
    if each.comparable and each.before is not None and each.replicas:
        yield "**Numbers of pods**"
        yield ""
        told = ((code(title), _number(old), _number(new)) for title, old, new in each.replicas)
        yield from table(("of", "before", "after"), told, rows)


def _connections(each: Comparison, rows: int) -> Iterator[str]:
    if not each.comparable or each.before is None:
        return
    found = each.connections
    if found.policed == (True, False):
        yield "**No NetworkPolicy is left: every connection is open.**"
        yield ""
    elif found.policed == (False, True):
        number = counted(len(found.opened), "connection")
        yield f"**NetworkPolicies come: from now on {number} get through, and no other.**"
        yield ""
    elif found.opened or found.closed:
        yield "**Connections opened or closed**"
        yield ""
        told = [("**opened**", each) for each in found.opened]
        told += [("closed", each) for each in found.closed]
        cells = ((how, code(o.source), code(o.target), code(o.port)) for how, o in told)
        yield from table(("", "from", "to", "port"), cells, rows)


def _number(bounds: Bounds | None) -> str:
    if bounds is None:
        return NOTHING
    return str(bounds) if bounds.fixed else f"{bounds}, autoscaled"


def _settings(each: Comparison, rows: int) -> Iterator[str]:
    if each.settings:
        yield "**Settings**"
        yield ""
        told = (
            (code(s.key), NOTHING if s.before is None else HIDDEN, s.what)
            if s.hidden or looks_secret(s.key)
            else (code(s.key), value(s.key, s.before), value(s.key, s.after))
            for s in each.settings
        )
        yield from table(("key", "before", "after"), told, rows)


def _policies(each: Comparison, rows: int) -> Iterator[str]:
    if each.rules is None or not (each.rules.differ or each.changes):
        return
    rules = each.rules
    told = [
        *(f"- **broken now** {_finding(f)}" for f in rules.new),
        *(f"- mended, was {_finding(f)}" for f in rules.gone),
    ]
    for name, why in rules.reasons.items():
        count = sum(f.rule == name for f in rules.waived)
        new = " (**new or reworded**)" if name in rules.changed else ""
        told.append(f"- waived {code(name)}{new}, {counted(count, 'finding')}: {message(why)}")
    told += [f"- no longer waived {code(name)}" for name in rules.withdrawn]
    if rules.standing:
        told.append(f"- {counted(rules.standing, 'finding')} as before")
    if told:
        yield "**Policies**"
        yield ""
        yield from told[:rows]
        yield from left_out(len(told), rows, "- ")
        yield ""


def _finding(found: Finding) -> str:
    of = f" of {code(found.subject)}" if found.subject else ""
    return f"{code(found.rule)}{of}: {message(found.remedy)}"


def _picture(each: Comparison) -> Iterator[str]:
    if each.before is not None and each.after is not None:
        lines = picture([o.manifest for o in each.after.objects], each.changes)
        if lines:
            yield from ["```text", *lines, "```", ""]


def _objects(changes: Sequence[Change], rows: int) -> Iterator[tuple[str, ...]]:
    for each in changes:
        told = [f"{code(f.path)} {_field(each, f)}" for f in each.fields[:rows]]
        told += left_out(len(each.fields), rows, "")
        yield code(each.title), each.verdict, "<br>".join(told)


def _field(change: Change, field: Field) -> str:
    if change.kind == "ConfigMap" and field.path.startswith(("data", "binaryData")):
        return _became(field.before, field.after)
    return _pair(field.path, field.before, field.after)


def _pair(path: str, before: object, after: object) -> str:
    if isinstance(before, Hidden) or isinstance(after, Hidden) or "checksum/" in path:
        return _became(before, after)
    if looks_secret(path):
        return HIDDEN
    return f"{value(path, before)} → {value(path, after)}"


def _became(before: object, after: object) -> str:
    if before is None:
        return "new"
    return "gone" if after is None else "changed"
