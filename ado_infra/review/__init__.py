"""What a branch changes in each stack, told to its reviewer as Markdown: docs/review.md.

Two sides of a stack (`side.py`; the other one from a revision, `revision.py`) are compared object
by object (`differences.py`). What of it is loud, rolls pods or costs room is worked out by
functions that know nothing of Markdown (`alarms.py`, `rolling.py`, `capacity.py`, `settings.py`,
`rules.py`, `preview.py`, put together by `comparison.py`); `report.py` writes it down, and every
word that is not ours goes through `escaping.py`. The command is `ado_infra/ops/review.py`.
"""
