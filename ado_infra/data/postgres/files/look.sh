#!/bin/sh
# look.sh SECONDS: what there is of PostgreSQL in this pod, as lines `key=value`, for an operator's
# commands. Changes nothing. Reading the WAL of a server that does not run may take so long.
set -eu
# shellcheck source=common.sh
. "$CONFIG/common.sh"

ask() {
	psql --no-psqlrc --quiet --no-align --tuples-only --host "$SOCKET" --username postgres \
		--dbname postgres --command "$1"
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

found=$(disk)
echo "disk=$found"
echo "primary=$(recorded_primary)"
if [ -e "$fenced" ]; then
	echo "fenced=yes"
fi
if ! flock -n "$busy" true; then
	echo "rejoining=yes"
fi
if server_runs; then
	# The newest timeline that it has WAL of: that of its last checkpoint may be minutes old. A standby writes
	# down how many connections its primary allows, and if that is more than its own replays nothing further.
	ask "SELECT 'server=' || CASE WHEN pg_is_in_recovery() THEN 'standby' ELSE 'primary' END
		UNION ALL SELECT 'system=' || system_identifier FROM pg_control_system()
		UNION ALL SELECT 'timeline=' || ('x' || max(left(name, 8)))::bit(32)::int
			FROM pg_ls_waldir() WHERE name ~ '^[0-9A-F]{24}$'
		UNION ALL SELECT 'end=' || CASE WHEN pg_is_in_recovery()
			THEN greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()) ELSE pg_current_wal_flush_lsn() END
		UNION ALL SELECT 'streaming=yes' FROM pg_stat_wal_receiver WHERE status = 'streaming'
		UNION ALL SELECT 'blocked=yes' WHERE pg_is_in_recovery()
			AND current_setting('max_connections')::int < $(control 'max_connections setting')
		UNION ALL SELECT 'slot=' || wal_status FROM pg_replication_slots WHERE slot_name = 'postgresql_$peer'"
elif [ "$found" != empty ]; then
	echo "system=$(control 'Database system identifier')"
	[ "$found" = half ] || wal "$1"
fi
