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

found=$(disk)
echo "disk=$found"
echo "primary=$(recorded_primary)"
if [ -e "$fenced" ]; then
	echo "fenced=yes"
fi
if [ ! -e "$mark" ]; then
	echo "fresh=yes"
fi
if [ -e "$waiting" ]; then
	echo "waiting=$(cat "$waiting")"
fi
if [ -e "$needs_copy" ]; then
	echo "needs_copy=yes"
fi
# For the probes the mark outlives the copy, until the server answers.
if ! server_runs && [ -n "$(find "$copying" -mmin -10 2>/dev/null)" ]; then
	echo "copying=yes"
fi
echo "room=$(free_room)"
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
		UNION ALL SELECT 'oldest=' || ('0/0'::pg_lsn + min((pg_split_walfile_name(name)).segment_number)
			* pg_size_bytes(current_setting('wal_segment_size')))
			FROM pg_ls_waldir() WHERE name ~ '^[0-9A-F]{24}$' AND NOT pg_is_in_recovery()
		UNION ALL SELECT 'asked=yes' WHERE pg_is_in_recovery() AND pg_last_wal_receive_lsn() IS NOT NULL
		UNION ALL SELECT 'streaming=yes' FROM pg_stat_wal_receiver WHERE status = 'streaming'
		UNION ALL SELECT 'blocked=yes' WHERE pg_is_in_recovery()
			AND current_setting('max_connections')::int < $(control 'max_connections setting')
		UNION ALL SELECT 'slot=' || wal_status FROM pg_replication_slots WHERE slot_name = 'postgresql_$peer'"
elif [ "$found" != empty ]; then
	echo "system=$(control 'Database system identifier')"
	[ "$found" = half ] || wal "$1"
fi
