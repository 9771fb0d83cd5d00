"""PostgreSQL's pair that operators work on: pods, record and Services, as the commands see them.

Its pods decide by the rules of the project's `start.sh`, and say what that says; whatever a command
changes is a call at which its machine may die.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from importlib import resources
from types import SimpleNamespace
from typing import Any

from kubernetes import client

from ado_infra.ops.errors import OpsError
from ado_infra.ops.postgres import pair
from ado_infra.ops.postgres.pair import Member
from ado_infra.ops.rights import Right

PRIMARY = Member(
    ordinal=0,
    phase="Running",
    ready=True,
    node="n1",
    disk="primary",
    server="primary",
    system="7",
    timeline=1,
    end=1000,
    slot="reserved",
)
STANDBY = Member(
    ordinal=1,
    phase="Running",
    ready=True,
    node="n2",
    disk="standby",
    server="standby",
    system="7",
    timeline=1,
    end=1000,
    asked=True,
    streaming=True,
)
AHEAD = replace(STANDBY, streaming=False, end=(PRIMARY.end or 0) + 2**20)
"""A standby whose primary was rolled back."""
SERVICES = {
    service: {pair.POD_LABEL: f"postgresql-{ordinal}"}
    for service, ordinal in (("postgresql", 0), ("postgresql-ro", 1))
}


class Killed(BaseException):
    """The operator's machine dies: nothing is cleared up."""


@functools.cache
def waits(ordinal: int) -> tuple[str, ...]:
    """Everything that `start.sh` of a pod may say that it waits for, numbers as `N`."""
    text = (resources.files("ado_infra.data.postgres") / "files" / "start.sh").read_text()
    text = re.sub(r'" *\\\n\s*"', " ", text).replace("\\`", "`")
    said = re.findall(
        r'(?:wait_for|wait_for_reclone|echo) "(?:wait |reclone |fenced )?(?!\$\{)([^"]{20,})"', text
    )
    peer = 1 - ordinal
    for name, value in {
        "$POD_NAME": f"postgresql-{ordinal}",
        "$peer_host": f"postgresql-{peer}.postgresql-headless",
        "$peer": str(peer),
        "$lacking": "N",
        "$patience": "N",
    }.items():
        said = [each.replace(name, value) for each in said]
    return tuple(said)


def wait(ordinal: int, about: str) -> str:
    """The one of these that has such words."""
    (found,) = (each for each in waits(ordinal) if about in each)
    return found


@dataclass(kw_only=True)
class Pods:
    """What may be the matter with pods, by their ordinals."""

    silent_scripts: set[int] = field(default_factory=set)
    """Whose script does not say what it waits for."""
    unstarted: set[int] = field(default_factory=set)
    lost_volumes: set[int] = field(default_factory=set)
    """Those start no more once they were deleted."""
    torn_away: set[int] = field(default_factory=set)
    """Whose pods lose their objects while their containers run on."""
    crowded: set[int] = field(default_factory=set)
    """No second copy has room beside the first."""
    small: set[int] = field(default_factory=set)
    """No copy has room."""
    unheard: set[int] = field(default_factory=set)
    """Whose word that they are empty has not come to their peer yet."""
    hung: set[int] = field(default_factory=set)
    """Which answer again once they were deleted."""
    lost_claims: set[int] = field(default_factory=set)
    """Which get another volume with their next pod."""


class Cluster:
    """Two pods, the record and the Services.

    `interrupt_after`: how many calls change something before the operator's machine dies.
    """

    name = "ado-system"
    api = None

    def __init__(self, *members: Member) -> None:
        self.members = list(members or (PRIMARY, STANDBY))
        self.data: dict[str, str] = {"initialised": "true"}
        self.services = {name: dict(selector) for name, selector in SERVICES.items()}
        self.nodes_off: set[str] = set()
        self.pods = Pods()
        self.forbidden: set[str] = set()
        """What its operator may not, such as `list pods`."""
        self.changes: list[str] = []
        self.calls = 0
        self.interrupt_after: int | None = None
        self.working: dict[int, str] = {}
        """In which pods a script goes on whose operator is gone, and which."""
        self.revision = "new"
        self.has_job = False
        """Whether the Job is under way that writes down a new database."""
        self._born = [0, 0]
        self._revision = 0

    def version(self) -> str:
        return str(self._revision)

    def primaries(self) -> list[int]:
        return [m.ordinal for m in self.members if m.server == "primary"]

    def lacking(self, needed: Sequence[Right]) -> list[str]:
        names = [f"{verb} {right.resource}" for right in needed for verb in right.verbs]
        return [name for name in names if name in self.forbidden]

    def allow(self, *needed: str) -> None:
        """Raises what the client does where its operator may not."""
        if refused := self.forbidden.intersection(needed):
            raise client.ApiException(status=403, reason=f"Forbidden: {refused}")

    def pod(self, name: str) -> Any:
        ordinal = pair.ordinal_of(name)
        member = self.members[ordinal]
        metadata = SimpleNamespace(
            name=name,
            uid=str(self._born[ordinal]),
            deletion_timestamp=None,
            labels={"controller-revision-hash": member.revision} if member.revision else None,
        )
        spec = SimpleNamespace(node_name=member.node, termination_grace_period_seconds=-30)
        status = _containers(running=ordinal not in self.pods.unstarted)
        status.phase = member.phase
        status.conditions = [SimpleNamespace(type="Ready", status=str(member.ready))]
        return SimpleNamespace(metadata=metadata, spec=spec, status=status)

    def stateful_set(self, name: str) -> Any:
        self.allow("get statefulsets")
        assert name == "postgresql"
        return SimpleNamespace(status=SimpleNamespace(update_revision=self.revision))

    def delete_claim(self, name: str) -> None:
        """With kubectl, without waiting for its end: the pod that has it keeps it."""
        self.pods.lost_claims.add(pair.ordinal_of(name.removeprefix("data-")))

    def config_map(self, name: str) -> Any:
        assert name == "postgresql-state"
        metadata = SimpleNamespace(resource_version=self.version())
        return SimpleNamespace(data=dict(self.data), metadata=metadata)

    def service(self, name: str) -> Any:
        self.allow("get services")
        if name not in self.services:
            return None
        return SimpleNamespace(spec=SimpleNamespace(selector=self.services[name]))

    def looks_at(self, pod: Any, seconds: float) -> Iterator[Any]:
        assert seconds
        ordinal = pair.ordinal_of(pod.metadata.name)
        yield None
        while pod.metadata.uid == str(self._born[ordinal]):
            yield None
        yield SimpleNamespace(status=_containers(running=ordinal in self.pods.torn_away))

    def node_answers(self, name: str) -> bool:
        return name not in self.nodes_off

    def lost_contact(self, node: str) -> bool:
        return node in self.nodes_off

    def patch_config_map(
        self, name: str, data: dict[str, str | None], *, version: str | None = None
    ) -> None:
        if version not in {None, self.version()}:
            raise OpsError("somebody else")
        self.change(f"{name}: {data}")
        self._revision += 1
        for key, value in data.items():
            self.data.pop(key, None)
            if value is not None:
                self.data[key] = value
        self.settle()

    def patch_selector(self, service: str, selector: dict[str, str]) -> None:
        self.change(f"{service}: {selector}")
        self.services[service].update(selector)

    def poke(self, pod: str) -> None:
        assert pair.ordinal_of(pod) in {0, 1}
        self.call()

    def delete_pod(self, pod: Any, *, force: bool = False) -> None:
        ordinal = pair.ordinal_of(pod.metadata.name)
        if self.members[ordinal].node in self.nodes_off and not force:
            return
        self.change(f"delete {pod.metadata.name}" + (" by force" if force else ""))
        self.replaced(ordinal)
        if force or ordinal in self.pods.lost_volumes:
            self._set(ordinal, trouble="no node" if force else "no volume", end=None)
        self.settle()

    def replaced(self, ordinal: int) -> None:
        """Another pod of its name, which has yet to decide."""
        self._born[ordinal] += 1
        if self.working.pop(ordinal, None):  # and what was at work there has ended with it
            self._set(ordinal, disk="half", rejoining=False)
        nothing = {"server": None, "fenced": False, "waiting": None, "streaming": False}
        self._set(ordinal, **nothing, blocked=False)
        if self.members[ordinal].revision not in {None, self.revision}:
            # What was wrong with the former template is mended.
            self._set(ordinal, revision=self.revision, trouble=None, disk="empty", end=None)
        if ordinal in self.pods.hung:
            self.pods.hung.remove(ordinal)
            self._set(ordinal, trouble=None)
        if ordinal in self.pods.lost_claims:
            self.pods.lost_claims.remove(ordinal)
            self._set(ordinal, disk="empty", system=None, timeline=None, end=None)

    def run(
        self,
        pod: str,
        command: tuple[str, ...],
        given: str | None = None,
        *,
        seconds: float = 0,
        changes: bool = False,
    ) -> str:
        ordinal, script = pair.ordinal_of(pod), " ".join(command)
        assert given is None
        assert seconds
        assert changes == ("look.sh" not in script)
        if "look.sh" in script:
            return self._look(ordinal)
        if self.members[ordinal].trouble:
            raise OpsError(self.members[ordinal].trouble)
        if "pg_promote" in script:
            self.change(f"promote {pod}")
            timeline = (self.members[ordinal].timeline or 0) + 1
            self._set(ordinal, server="primary", disk="primary", streaming=False, timeline=timeline)
        elif "create_physical_replication_slot" in script:
            self.call()
            self._set(ordinal, slot="reserved")
        elif command[-1] in {"rewind", "reclone"}:
            self._rejoin(ordinal, command[-1])
        else:
            raise AssertionError(f"unknown: {script}")
        self.settle()
        return ""

    def _rejoin(self, ordinal: int, way: str) -> None:
        """As `rejoin.sh`; begun, it goes on also when its operator is gone."""
        member = self.members[ordinal]
        assert member.server is None
        if way == "rewind" and member.disk == "half":
            raise OpsError("an earlier rejoin was cut off: --reclone")
        if way == "rewind" and member.disk in {"standby", "empty"}:
            return
        if self.interrupt_after == self.calls + 1:
            self.working[ordinal] = way
            self._set(ordinal, disk="half", rejoining=True)
        self.change(f"{way} postgresql-{ordinal}")
        if ordinal not in self.working:
            self._rejoined(ordinal, way)

    def _rejoined(self, ordinal: int, way: str) -> None:
        if way == "reclone":
            self._set(ordinal, disk="empty", system=None, timeline=None, end=None, rejoining=False)
        else:
            self._set(ordinal, **self._copy(1 - ordinal), rejoining=False)

    def time_passes(self) -> None:
        """Whatever goes on by itself comes to its end."""
        for ordinal, way in self.working.items():
            self._rejoined(ordinal, way)
        self.working.clear()
        for member in self.members:
            if member.node in self.nodes_off:
                self._set(member.ordinal, trouble=None)
        self.nodes_off.clear()
        self.pods.unheard.clear()
        if self.has_job and any(member.server == "primary" for member in self.members):
            self.data["initialised"] = "true"
        for member in self.members:
            if member.copying:
                self._set(member.ordinal, copying=False, **self._copy(1 - member.ordinal))
        leader = self.members[int(self.data.get("primary", "0"))]
        for member in self.members:
            if member.streaming:
                self._set(member.ordinal, end=leader.end)
        self.settle()

    def settle(self) -> None:
        """Each pod does what is to be done by the record, its disk and its peer."""
        before = self.primaries()
        for ordinal in (0, 1, 0, 1):
            self._settle(ordinal)
        assert len(self.primaries()) < 2 or before == [0, 1], "two primaries"

    def _settle(self, ordinal: int) -> None:
        member, peer = self.members[ordinal], self.members[1 - ordinal]
        if member.trouble or ordinal in self.pods.silent_scripts | self.pods.unstarted:
            return
        if member.server == "standby":
            lost = peer.slot == "lost" or (member.end or 0) < (peer.oldest or 0)
            follows = peer.server == "primary" and peer.system == member.system and not lost
            self._set(ordinal, streaming=follows and not pair.ahead(member, peer))
        elif member.server is None and not member.copying:
            decided = self._decide(member, peer)
            self._set(ordinal, **({"fenced": False, "waiting": None} | decided))

    def _decide(self, member: Member, peer: Member) -> dict[str, Any]:
        """As `start.sh` does it."""
        ordinal, primary = str(member.ordinal), self.data.get("primary", "0")
        recorded = self.data.get("initialised") == "true"
        if ordinal in self.data.get("fenced", "").split():
            return {"waiting": wait(member.ordinal, "is fenced, until"), "fenced": True}
        if member.disk == "half":
            about = "which no server starts with" if primary == ordinal else "a rejoin that was cut"
            return {"waiting": wait(member.ordinal, about)}
        if not recorded:
            return self._begin(member, peer)
        return self._lead(member, peer) if primary == ordinal else self._follow(member, peer)

    def _begin(self, member: Member, peer: Member) -> dict[str, Any]:
        ordinal = member.ordinal
        if member.disk != "empty" and not member.fresh:
            return {"waiting": wait(ordinal, "this volume was in use")}
        if member.disk != "empty":
            return {"server": member.disk}
        if self.data.get("primary", "0") != str(ordinal):
            return self._clone(peer)
        if peer.disk == "empty" and not peer.trouble and peer.ordinal not in self.pods.unheard:
            made = {"disk": "primary", "server": "primary", "system": "9", "timeline": 1, "end": 1}
            return made | {"fresh": True}
        return {"waiting": wait(ordinal, "has some" if peer.server else "no data either")}

    def _lead(self, member: Member, peer: Member) -> dict[str, Any]:
        about = None
        if member.disk == "empty":
            about = "the primary's volume is empty"
        elif member.disk == "primary" and peer.server == "primary":
            about = "is a primary too"
        elif member.disk == "primary" and peer.server and pair.ahead(peer, member):
            about = "which was rolled back"
        return {"waiting": wait(member.ordinal, about)} if about else {"server": member.disk}

    def _follow(self, member: Member, peer: Member) -> dict[str, Any]:
        ordinal = member.ordinal
        if member.disk == "primary":
            return {"waiting": wait(ordinal, "this was the primary")}
        if member.disk == "empty":
            return self._clone(peer)
        if peer.server == "primary" and member.system != peer.system:
            return {"waiting": wait(ordinal, "another database")}
        if peer.server == "primary" and peer.slot == "lost":
            if (member.timeline, member.end or 0) > (peer.timeline, peer.end or 0):
                return {"waiting": wait(ordinal, "is not behind")}
            return self._clone(peer)
        return {"server": "standby"}

    def _clone(self, peer: Member) -> dict[str, Any]:
        ordinal = 1 - peer.ordinal
        if peer.server != "primary":
            return {"waiting": wait(ordinal, "a primary at")}
        empty = self.members[ordinal].disk == "empty"
        if ordinal in self.pods.crowded and not empty:
            return {"waiting": wait(ordinal, "deletes what is here first")}
        if ordinal in self.pods.small:
            return {"waiting": wait(ordinal, "Growing a volume")}
        self._set(peer.ordinal, slot="reserved")
        return self._copy(peer.ordinal) | {"server": "standby"}

    def _copy(self, leader: int) -> dict[str, Any]:
        found = self.members[leader]
        return {
            "disk": "standby",
            "system": found.system,
            "timeline": found.timeline,
            "end": found.end,
        }

    def _look(self, ordinal: int) -> str:
        """As `look.sh` prints it."""
        member = self.members[ordinal]
        if member.trouble:
            raise OpsError(member.trouble)
        told: dict[str, Any] = {
            key: getattr(member, key)
            for key in ("disk", "server", "waiting", "system", "timeline", "slot", "room", "unread")
        }
        # `start.sh` leaves the mark with every sentence that names the flag, as its tests see.
        needs_copy = member.needs_copy or "--reclone" in (member.waiting or "")
        told["needs_copy"] = "yes" if needs_copy else None
        told["primary"] = self.data.get("primary", "0")
        for key in ("end", "oldest"):
            if (at := getattr(member, key)) is not None:
                told[key] = f"{at >> 32:X}/{at & 0xFFFFFFFF:X}"
        for key in ("fresh", "fenced", "copying", "rejoining", "asked", "streaming", "blocked"):
            told[key] = "yes" if getattr(member, key) else None
        return "\n".join(f"{key}={value}" for key, value in told.items() if value is not None)

    def _set(self, ordinal: int, **changes: Any) -> None:
        self.members[ordinal] = replace(self.members[ordinal], **changes)

    def call(self) -> None:
        """A call that changes something, however often it is made."""
        if self.interrupt_after == self.calls:
            raise Killed
        self.calls += 1

    def change(self, what: str) -> None:
        """The same, and it is told of."""
        self.call()
        self.changes.append(what)


def _containers(*, running: bool) -> Any:
    state = SimpleNamespace(running=running or None, terminated=None if running else "at")
    return SimpleNamespace(container_statuses=[SimpleNamespace(state=state, restart_count=0)])
