#!/bin/sh
# Starts PostgreSQL in this pod, as primary or as standby. It decides at every start of the
# container, from the record, from its disk and from its peer (docs/data-design.md has the table). In
# doubt it waits; it never deletes data that might be newer than the primary's.
set -eu
# shellcheck source=common.sh
. "$CONFIG/common.sh"
# shellcheck source=blank.sh
. "$CONFIG/blank.sh"

# Pid 1 is sent the signals that a server should hear.
stop() {
	! server_runs || pg_ctl stop --pgdata "$PGDATA" --mode fast >/dev/null 2>&1 || true
	exit 143
}
trap stop TERM INT

ended="$SOCKET/end" # where the WAL here ended when the container began
page=8192           # of WAL: where it ends may be known by the page alone
patience=5          # seconds from a copy that failed to the next
least=32            # MiB, two files of WAL: with less no server can be relied on to start

# In the background, so that a signal is heard at once.
pause() {
	sleep "${1:-2}" &
	wait $!
}

# What is waited for is said once, and again when it has changed; and kept for operators.
waited_for=
wait_for() {
	tell "$@"
	rm -f "$needs_copy"
	pause
}

# The same, where nothing but `rejoin --reclone` ends it: by this mark operators' commands know that.
wait_for_reclone() {
	tell "$@"
	: >"$needs_copy"
	pause
}

tell() {
	if [ "$waited_for" != "$*" ]; then
		say "waiting: $*"
		echo "$*" >"$waiting"
	fi
	waited_for=$*
}

# What was waited for is there.
go_on() {
	end_blank
	rm -f "$waiting" "$needs_copy"
	waited_for=
}

# initialise|primary|standby|clone, or `fenced`, `wait` or `reclone` with the reason.
decide() {
	disk=$(disk)
	if is_fenced; then
		echo "fenced $POD_NAME is fenced, until \`ado-ops postgres unfence $POD_NAME\` or \`rejoin\`"
	elif [ "$disk" = half ] && [ "$(recorded_primary)" = "$ordinal" ]; then
		echo "wait half a database is here, which no server starts with: bring the volume back, or" \
			"\`ado-ops postgres promote postgresql-$peer --accept-loss\`; where that has none either, see" \
			"docs/data-runbooks.md, Half a database"
	elif [ "$disk" = half ]; then
		echo "reclone half a database is here, as a rejoin that was cut off leaves it:" \
			"\`ado-ops postgres rejoin $POD_NAME --reclone\`"
	elif ! is_recorded && [ -e "$mark" ]; then
		echo "wait postgresql-state says nothing, and this volume was in use, last as $disk: write" \
			"down who is the primary, see docs/data-runbooks.md, Lost record"
	elif [ "$(recorded_primary)" = "$ordinal" ]; then
		decide_as_primary "$disk"
	else
		decide_as_standby "$disk"
	fi
}

# Whoever has data and saw the record say who is the primary never believes an empty one later. The
# readiness probe leaves the mark too, but not in a pod that is never Ready, as a former primary that waits.
# A new database has none until it is recorded, or its first pod would wait for the record of itself.
keep_in_mind() {
	if [ -e "$mark" ] || [ "$(disk)" = empty ]; then
		return
	fi
	if is_recorded || [ "$(cat "$STATE/primary" 2>/dev/null)" = "$peer" ]; then
		touch "$mark" || say "cannot leave a mark on this volume" # it may be full
	fi
}

decide_as_primary() {
	case "$1" in
	empty)
		if is_recorded; then
			echo "wait the primary's volume is empty: bring it back, or \`ado-ops postgres promote" \
				"postgresql-$peer --accept-loss\`"
		elif peer_is_empty; then
			echo initialise
		elif peer_has_data; then
			echo "wait no data here, $peer_host has some, and postgresql-state says nothing:" \
				"\`ado-ops postgres promote postgresql-$peer --accept-loss\` goes on with that"
		else
			echo "wait no data here, postgresql-state says nothing, and postgresql-$peer has not said that it" \
				"has no data either: a new database is only made then, see docs/data-runbooks.md, Lost record"
		fi
		;;
	standby) echo standby ;; # a promotion that was cut off: serves reads until it is finished
	primary)
		case "$(peer_role)" in
		primary)
			echo "wait $peer_host is a primary too, against postgresql-state: see docs/data-runbooks.md," \
				"Both pods are primary"
			;;
		standby)
			if standby_is_ahead; then
				echo "wait postgresql-$peer has more than this volume, which was rolled back: \`ado-ops" \
					"postgres promote postgresql-$peer --accept-loss\` keeps it"
			else
				echo primary
			fi
			;;
		*) echo primary ;;
		esac
		;;
	esac
}

# No primary sends what it has not on its own disk: one that has less than its standby, or an older timeline,
# was rolled back, as by a snapshot, or by a disk that lied. Where the end is not known the server finds it.
standby_is_ahead() {
	[ -e "$ended" ] || wal 300 >"$ended"
	IFS='|' read -r system timeline now _ <<-ANSWER
		$(ask_peer IDENTIFY_SYSTEM)
	ANSWER
	here=$(sed -n 's/^timeline=//p' "$ended")
	end=$(sed -n 's/^end=//p' "$ended")
	[ -n "$here" ] && [ "$system" = "$(control 'Database system identifier')" ] || return 1
	[ "$timeline" -le "$here" ] || return 0
	[ -n "$end" ] && [ "$timeline" = "$here" ] &&
		[ "$(position "$now")" -gt "$(($(position "$end") + page))" ]
}

decide_as_standby() {
	case "$1" in
	empty) echo clone ;;
	standby) echo standby ;;
	primary) echo "wait this was the primary, and now postgresql-$peer is: \`ado-ops postgres rejoin $POD_NAME\`" ;;
	esac
}

initialise() {
	go_on
	say "first start: making an empty database"
	rm -rf "$PGDATA.new"
	initdb --pgdata "$PGDATA.new" --username postgres --encoding UTF8 \
		--locale-provider builtin --locale C.UTF-8 --data-checksums --set huge_pages=off \
		--auth-local peer --auth-host scram-sha-256 >/dev/null
	mv "$PGDATA.new" "$PGDATA" # whole or not at all
}

# Not by exec: a server that is pid 1 takes whatever has lost its parent in this container for a process
# of its own. When such a one ends badly, as what a probe leaves that took too long, it restarts all.
serve() {
	go_on
	keep_reserve
	postgres -D "$PGDATA" -c config_file="$CONFIG/postgresql.conf" -c hba_file="$CONFIG/pg_hba.conf" "$@" &
	code=0
	wait $! || code=$?
	finish "$code"
}

# In a full volume a server ends as soon as it wants another file of WAL, and cannot start to be cleaned up.
keep_reserve() {
	if [ ! -e "$reserve" ] && [ "$(free_room)" -ge 512 ]; then
		head -c 64M /dev/zero >"$reserve" || rm -f "$reserve"
	fi
}

# The server has ended. Where that was for want of room, another start is only tried once there is some; not
# sooner, as one that needs no new file of WAL also starts in a full volume.
finish() {
	[ "$1" != 0 ] || exit 0
	if [ "$(free_room)" -lt "$least" ] && [ -e "$reserve" ]; then
		rm "$reserve"
		say "the volume is full: the server gets its last 64 MiB; see docs/data-runbooks.md, Growing a volume"
	fi
	while [ "$(free_room)" -lt "$least" ]; do
		wait_for "the volume is full, and without room no server starts: see docs/data-runbooks.md," \
			"Growing a volume"
	done
	exit "$1"
}

be_primary() {
	rm -f "$stale"
	go_on
	set_up_roles
	say "starting as primary"
	serve
}

# Roles, passwords and database, at every start and before anybody can connect: so a password
# that was changed in its Secret is changed here too.
set_up_roles() {
	pg_ctl start --pgdata "$PGDATA" --wait --timeout 3600 --silent --options \
		"-c config_file=$CONFIG/postgresql.conf -c hba_file=$CONFIG/pg_hba.conf -c listen_addresses=''" || finish 1
	psql --no-psqlrc --quiet --tuples-only --host "$SOCKET" --username postgres --dbname postgres \
		--set secrets="$SECRETS" --file "$CONFIG/roles.sql" >/dev/null || finish 1
	pg_ctl stop --pgdata "$PGDATA" --wait --mode fast --silent
}

# Comes back when it may not start yet.
be_standby() {
	IFS='|' read -r system timeline now _ <<-ANSWER
		$(ask_peer IDENTIFY_SYSTEM)
	ANSWER
	if [ -n "$system" ] && [ "$(peer_role)" = primary ]; then
		if [ "$system" != "$(control 'Database system identifier')" ]; then
			wait_for_reclone "this volume has another database than $peer_host: if that one is right," \
				"\`ado-ops postgres rejoin $POD_NAME --reclone\` gives this one up"
			return
		fi
		if [ -e "$stale" ] || ! have_slot; then
			clone_anew "$timeline" "$now"
			return
		fi
	fi
	say "starting as standby of $peer_host"
	serve -c max_connections="$(enough_connections)" -c primary_slot_name="$slot" \
		-c primary_conninfo="host=$peer_host user=replicator passfile=$passfile application_name=$POD_NAME"
}

# A standby that allows fewer connections than its primary did or does replays nothing more, and cannot
# be promoted. It is started first, so a lower number is taken over once the primary has it; and one
# that was promoted with more goes on with more.
enough_connections() {
	{
		sed -n 's/^max_connections = //p' "$CONFIG/postgresql.conf"
		control 'max_connections setting'
		ask_peer 'SHOW max_connections'
	} | sort -n | tail -n 1
}

# It was away for longer than the primary keeps WAL for. What is behind the primary on its own
# timeline has nothing that the primary lacks; anything else is for a human.
clone_anew() {
	here=$(control "Min recovery ending loc's timeline")
	[ "$here" != 0 ] || here=$(control "Latest checkpoint's TimeLineID")
	if [ "$here" != "$1" ] ||
		[ "$(position "$(control 'Minimum recovery ending location')")" -gt "$(position "$2")" ]; then
		wait_for_reclone "the primary has given up the WAL that is missing here, and this volume is not behind" \
			"it: \`ado-ops postgres rejoin $POD_NAME --reclone --accept-loss\` gives it up"
		return
	fi
	[ -e "$stale" ] || say "the primary has given up the WAL that is missing here"
	: >"$stale" # a copy that is cut off is begun anew: its new slot brings nothing back
	clone
}

# By which the probes know that a copy grows, however long it takes.
watch_copy() {
	before=
	while :; do
		now=$(du -s "$PGDATA.new" 2>/dev/null) || now=
		[ "$now" = "$before" ] || touch "$copying"
		before=$now
		sleep 15
	done
}

# Whole or not at all; what was here before stays until then.
clone() {
	if [ "$(peer_role)" != primary ]; then
		is_recorded || say_it_is_empty
		wait_for "a primary at $peer_host to copy"
		return
	fi
	have_slot || ask_peer "DROP_REPLICATION_SLOT $slot" >/dev/null # lost, and in the way of a new one
	if ! have_slot; then
		wait_for "a slot at $peer_host"
		return
	fi
	rm -rf "$PGDATA.new" "$PGDATA.old"
	lacking=$(lacking_for_a_copy)
	if [ -n "$lacking" ] && [ -e "$PGDATA" ]; then
		wait_for_reclone "a copy of $peer_host, and what is here stays until it is whole: $lacking MiB are lacking." \
			"\`ado-ops postgres rejoin $POD_NAME --reclone\` deletes what is here first"
		return
	elif [ -n "$lacking" ]; then
		wait_for "a copy of $peer_host: $lacking MiB are lacking, see docs/data-runbooks.md, Growing a volume"
		return
	fi
	say "copying $peer_host"
	go_on
	watch_copy &
	watcher=$!
	if ! pg_basebackup --pgdata "$PGDATA.new" --host "$peer_host" --username replicator --no-password \
		--wal-method stream --slot "$slot" --checkpoint fast; then
		kill "$watcher"
		rm -rf "$PGDATA.new" "$copying"
		wait_for "a copy of $peer_host that is whole; the last one failed, the next begins in $patience s"
		pause "$patience"
		[ "$patience" -ge 300 ] || patience=$((patience * 2))
		return
	fi
	kill "$watcher"
	touch "$PGDATA.new/standby.signal"
	[ ! -e "$PGDATA" ] || mv "$PGDATA" "$PGDATA.old"
	mv "$PGDATA.new" "$PGDATA"
	rm -rf "$PGDATA.old" "$stale"
}

# Not by disk(): a rejoin that was cut off may have left no version.
if [ -s "$PGDATA/PG_VERSION" ]; then
	chmod 0700 "$PGDATA" # a volume's group rights would be refused
	version=$(cat "$PGDATA/PG_VERSION")
	case "$(postgres --version)" in
	*" $version."*) ;;
	*)
		refuse "the volume's data is of PostgreSQL $version, and this is $(postgres --version): see" \
			"docs/data-runbooks.md, Major versions"
		;;
	esac
fi
rm -f "$fenced" "$waiting" "$needs_copy" "$copying" "$ended"
# A pod that was deleted by force may still run on this volume, where its processes are not seen. The
# lock is the server's too, and ends with the last process of the container.
exec 9>>"${PGDATA%/*}/in-use"
until flock -n 9; do
	wait_for "the former container of this volume still runs"
done
server_runs || rm -f "$PGDATA/postmaster.pid"
rm -rf "$blank" # of a container that was killed
rmdir "$PGDATA" 2>/dev/null || true # of no use empty, and a new one would come to lie inside
# Killed between the two renames of a copy: the new one is whole.
[ -e "$PGDATA" ] || [ ! -e "$PGDATA.old" ] || mv "$PGDATA.new" "$PGDATA"
while :; do
	write_passfile # anew each time: what is waited for may take days, and the Secret change meanwhile
	keep_in_mind
	decision=$(decide)
	[ "${decision%% *}" = fenced ] || rm -f "$fenced"
	case "$decision" in
	primary) be_primary ;;
	standby) be_standby ;;
	clone) clone ;;
	initialise) initialise ;;
	fenced*)
		: >"$fenced" # by which operators know that this very script waits
		wait_for "${decision#* }"
		;;
	wait*) wait_for "${decision#* }" ;;
	reclone*) wait_for_reclone "${decision#* }" ;;
	esac
done
