"""What interrupted a deployment, in words, where the engine has only those of its connections."""

from __future__ import annotations

import re
from collections.abc import Sequence

GOES_ON = "What it had made by then is kept; the same command goes on from here."
_ENDED = "{} ended in the middle of its work; it was killed, or failed."
ENGINE_ENDED = _ENDED.format("pulumi")
_RESULT = re.compile(r"\s*code: (-?\d+)\n stdout: (.*)\n stderr: (.*)", re.DOTALL)
"""How the Automation API writes down the end of a program."""
_LAST_LINES = 15
_WRAPPING = re.compile(
    r'\d+ errors? occurred:\s*\* |(?:(?:update|creation) of )?resource "urn:[^"]*" (?:failed: )?'
)
"""How the provider counts its errors and names the object, which is named already."""
_DIED = re.compile(r"Detected that (\S+) exited prematurely.*?of the plugin:\s*(.*)", re.DOTALL)
_CUT_OFF = re.compile(
    r"error reading from server|connection error: desc = |code = (?:Unavailable|Canceled)"
)
"""What the engine says of objects whose provider has died."""
_UNANSWERED = re.compile(
    r'(?:Get|Post|Put|Patch|Delete) "https://[^"]*": (?!.*(?:certificate|no such host))'
    r"|configured Kubernetes cluster is unreachable|http2: client connection lost"
    r"|the server is currently unable to handle the request|etcdserver: "
    r"|not yet ready to handle request"  # one that has just started
)
_EMPTY = ("update failed", "preview failed")


def of_engine(result: str) -> str:
    """Why the engine failed, from what the Automation API says of its end."""
    if not (seen := _RESULT.fullmatch(result)):
        return result
    code, printed, complaints = int(seen[1]), seen[2].strip(), seen[3].strip()
    if code < 0:  # by a signal
        return ENGINE_ENDED
    last = (complaints or printed).splitlines()[-_LAST_LINES:]
    return "\n".join(last) or f"pulumi failed with exit code {code} and did not say why."


def interrupted(errors: Sequence[str]) -> bool:
    """Whether a mishap ended the run, and not what it was asked to do."""
    return ENGINE_ENDED in errors or any(_DIED.search(e) or _is_unanswered(e) for e in errors)


def told(errors: Sequence[str]) -> list[str]:
    """The errors for a reader: many that one mishap has caused are told as that one."""
    kept = [_WRAPPING.sub("", error).strip() for error in errors]
    if died := next(filter(None, map(_DIED.search, kept)), None):
        kept = [e for e in kept if not (_CUT_OFF.search(e) or _DIED.search(e))]
        program = died[1].rpartition("/")[2]
        kept.append(_ENDED.format(program))
        kept += filter(None, [died[2].strip()])
    if lost := [e for e in kept if _is_unanswered(e)]:
        kept = [e for e in kept if e not in lost]
        objects = sorted({e.partition(": ")[0] for e in lost if re.match(r"[\w-]+: ", e)})
        whom = f" about {', '.join(objects)}" if objects else ""
        why = lost[0].rpartition('": ')[2].rpartition(": ")[2]
        kept.append(f"The API server went away while it was asked{whom} ({why}).")
    return [e for e in dict.fromkeys(kept) if e not in _EMPTY] or kept


def _is_unanswered(error: str) -> bool:
    return bool(_UNANSWERED.search(error)) and "webhook" not in error
