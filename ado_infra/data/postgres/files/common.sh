# shellcheck shell=sh
# shellcheck disable=SC2034 # its variables are for them
# What the scripts here know of this pod: its place, the record of roles, its disk and its peer.
# Sourced by them.
umask 077

ordinal=${POD_NAME##*-}
peer=$((1 - ordinal))
peer_host="postgresql-$peer.$HEADLESS_SERVICE"
slot="postgresql_$ordinal"
mark="${PGDATA%/*}/recorded" # on the volume: made by the readiness probe, once the record says so
half="${PGDATA%/*}/rejoining"
stale="${PGDATA%/*}/stale" # what is here lacks WAL that nobody has any more
reserve="${PGDATA%/*}/reserve" # given up when the volume is full, so that a server can start once more
fenced="$SOCKET/fenced"
waiting="$SOCKET/waiting" # what start.sh waits for
needs_copy="$SOCKET/needs-copy" # there while it waits for `rejoin --reclone`, and nothing else helps
copying="$SOCKET/copying" # touched while a copy grows
busy="$SOCKET/rejoining"
blank_port=5431 # where a pod says that its volume is empty
passfile="$SOCKET/pgpass"
export PGPASSFILE="$passfile" PGCONNECT_TIMEOUT=3

say() {
	echo "${0##*/}: $*" >&2
}

refuse() {
	say "$*"
	exit 1
}

# The record lies outside the volumes: in ConfigMap postgresql-state, mounted here.
is_recorded() {
	[ "$(cat "$STATE/initialised" 2>/dev/null)" = true ]
}

# A new database begins in pod 0.
recorded_primary() {
	cat "$STATE/primary" 2>/dev/null || echo 0
}

is_fenced() {
	case " $(cat "$STATE/fenced" 2>/dev/null) " in
	*" $ordinal "*) ;;
	*) return 1 ;;
	esac
}

# empty|half|standby|primary: what the volume has, and as what it was last used. Files that are no whole
# database are half of one, also where they cannot be listed: nobody takes them for nothing.
disk() {
	if [ -e "$half" ]; then
		echo half
	elif [ -e "$PGDATA/standby.signal" ] && [ -s "$PGDATA/PG_VERSION" ]; then
		echo standby
	elif [ -s "$PGDATA/PG_VERSION" ]; then
		echo primary
	elif [ ! -e "$PGDATA" ] || { found=$(ls -A "$PGDATA" 2>&1) && [ -z "$found" ]; }; then
		echo empty
	else
		echo half
	fi
}

# Whether the process that holds the data directory is a server. After a kill its file is left, and
# the pid may be another's in a new container: pg_ctl would take that for a server, and stop it.
server_runs() {
	pid=$(sed -n 1p "$PGDATA/postmaster.pid" 2>/dev/null) &&
		[ "$(cat "/proc/$pid/comm" 2>/dev/null)" = postgres ]
}

# One line of pg_controldata, by its beginning.
control() {
	pg_controldata --pgdata "$PGDATA" | sed -n "s/^$1: *//p"
}

# libpq reads it only when nobody else could; a mounted Secret is readable by the pod's group.
write_passfile() {
	printf '*:*:*:replicator:%s\n' "$(sed 's/[\\:]/\\&/g' "$SECRETS/replication-password")" >"$passfile"
}

# What the peer answers to a command of the replication protocol; nothing when it does not.
ask_peer() {
	psql "host=$peer_host user=replicator dbname=replication replication=true" --no-psqlrc --no-align \
		--tuples-only --no-password --command "$1" 2>/dev/null || true
}

# primary|standby, or nothing when it does not say.
peer_role() {
	case "$(ask_peer 'SHOW in_hot_standby')" in
	off) echo primary ;;
	on) echo standby ;;
	esac
}

# Only its own word counts, which it gives while it waits (blank.sh): a pod that is away, or waits with its
# data, answers nothing. Its name, as whoever got its address meanwhile may have an empty volume too.
peer_is_empty() {
	[ "$(psql "host=$peer_host port=$blank_port user=replicator dbname=replication replication=true" \
		--no-psqlrc --no-align --tuples-only --no-password --command 'SHOW cluster_name' 2>/dev/null)" = \
		"${POD_NAME%-*}-$peer" ]
}

# Also one that is only starting has data; 2 is no answer at all.
peer_has_data() {
	pg_isready --quiet --host "$peer_host" --username ado --dbname ado --timeout 3 || [ $? -eq 1 ]
}

# The slot keeps the primary's WAL for this pod. Slots are not replicated, so whoever follows makes
# its own. Fails when the primary has given up its WAL (max_slot_wal_keep_size).
have_slot() {
	case "$(ask_peer "READ_REPLICATION_SLOT $slot")" in
	physical\|\|*) return 1 ;;
	physical\|*) ;;
	*) [ -n "$(ask_peer "CREATE_REPLICATION_SLOT $slot PHYSICAL RESERVE_WAL")" ] ;;
	esac
}

# 3/A000060 → a number
position() {
	echo $((0x${1%/*} << 32 | 0x${1#*/}))
}

# What WAL there is on the disk of a server that does not run: its newest timeline, as below, and where it
# ends, or at least on which page; or why that is not known.
wal() {
	for last in "$PGDATA"/pg_wal/????????????????????????; do :; done
	[ -e "$last" ] || return 0
	last=${last##*/}
	timeline=${last%????????????????}
	echo "timeline=$((0x$timeline))"
	first=$(control "Latest checkpoint's REDO WAL file")
	start=$(control "Latest checkpoint's REDO location")
	case $first in
	"$timeline"*) ;;
	*) # no checkpoint since its promotion: its files are all there
		for first in "$PGDATA/pg_wal/$timeline"????????????????; do break; done
		first=${first##*/} start=
		;;
	esac
	# Unless it is told of the first file it learns the size of all from any, also from one that was made
	# ahead and is still empty.
	end=$(timeout "$1" pg_waldump --quiet --path "$PGDATA/pg_wal" ${start:+--start "$start"} "$first" "$last" 2>&1 |
		sed -n 's,.* in WAL record at [^:]*: .* \(at\|LSN\) \([0-9A-F]*/[0-9A-F]*\).*,end=\2,p
			t
			s,.* error: ,unread=,p')
	echo "${end:-unread=no end of it in $last, or not within $1 s}"
}

# Mebibytes that the volume has free.
free_room() {
	df -Pm "${PGDATA%/*}" | { read -r _ && read -r _ _ _ found _ && echo "$found"; }
}

# Mebibytes that a copy of the peer would take, beyond what this volume has free; nothing when it fits, or
# the peer does not say.
lacking_for_a_copy() {
	needed=$(psql "host=$peer_host user=replicator dbname=postgres passfile=$passfile" --no-psqlrc --no-align \
		--tuples-only --no-password --command 'SELECT sum(pg_database_size(oid))::bigint >> 20 FROM pg_database' \
		2>/dev/null) || return 0
	free=$(free_room)
	[ "${needed:-0}" -lt "$free" ] || echo $((needed - free + 1))
}
