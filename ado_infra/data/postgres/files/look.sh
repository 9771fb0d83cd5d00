#!/bin/sh
# What there is of PostgreSQL in this pod, as lines `key=value`, for an operator's commands. Changes
# nothing.
set -eu
# shellcheck source=common.sh
. "$CONFIG/common.sh"

ask() {
	psql --no-psqlrc --quiet --no-align --tuples-only --host "$SOCKET" --username postgres \
		--dbname postgres --command "$1"
}

# What is said about the end of the WAL on this disk by what reads it. Unless it is told of the first file
# it learns the size of all from any, and fails if that is one that was made ahead and is still empty.
end_of_wal() {
	first=$(control "Latest checkpoint's REDO WAL file")
	for last in "$PGDATA/pg_wal/${first%????????????????}"????????????????; do :; done
	pg_waldump --quiet --path "$PGDATA/pg_wal" --start "$(control "Latest checkpoint's REDO location")" \
		"$first" "${last##*/}" 2>&1 | tail -n 1
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
	# The newest timeline that it has WAL of: that of its last checkpoint may be minutes old.
	ask "SELECT 'server=' || CASE WHEN pg_is_in_recovery() THEN 'standby' ELSE 'primary' END
		UNION ALL SELECT 'system=' || system_identifier FROM pg_control_system()
		UNION ALL SELECT 'timeline=' || ('x' || max(left(name, 8)))::bit(32)::int
			FROM pg_ls_waldir() WHERE name ~ '^[0-9A-F]{24}$'
		UNION ALL SELECT 'end=' || CASE WHEN pg_is_in_recovery()
			THEN greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()) ELSE pg_current_wal_flush_lsn() END
		UNION ALL SELECT 'streaming=yes' FROM pg_stat_wal_receiver WHERE status = 'streaming'
		UNION ALL SELECT 'slot=' || wal_status FROM pg_replication_slots WHERE slot_name = 'postgresql_$peer'"
	# A standby writes down how many its primary allows, and then replays nothing more if that is too many.
	if [ "$(ask 'SHOW max_connections')" -lt "$(control 'max_connections setting')" ]; then
		echo blocked=yes
	fi
elif [ "$found" != empty ]; then
	echo "system=$(control 'Database system identifier')"
	echo "timeline=$(control "Latest checkpoint's TimeLineID")"
	# It says where it found no more, or at least the page; anything else is for people.
	end_of_wal | sed 's,.* in WAL record at [^:]*: .* \(at\|LSN\) \([0-9A-F]*/[0-9A-F]*\).*,end=\2,
		/^end=/!s/^/unread=/'
fi
