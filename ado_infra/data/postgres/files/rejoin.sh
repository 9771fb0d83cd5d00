#!/bin/sh
# rejoin.sh rewind|reclone: makes this pod, where no server runs, a standby of the one that is primary
# now. By an operator's command only: what this volume has and the primary lacks is gone then.
set -eu
# shellcheck source=common.sh
. "$CONFIG/common.sh"

# Whoever asked may be gone, and this goes on.
exec 9>"$busy"
flock -w 2 9 || refuse "another rejoin is at work here; wait for its end"
if server_runs; then
	refuse "a server runs here; fence $POD_NAME first"
fi
if [ "$(recorded_primary)" = "$ordinal" ]; then
	refuse "postgresql-state says that this is the primary"
fi
# On disk before anything is changed: data that is neither old nor new is never started.
mark_half() {
	touch "$half"
	sync "$half" "${half%/*}"
}

write_passfile
if [ "$1" = reclone ]; then
	[ "$(peer_role)" = primary ] || refuse "$peer_host does not answer as a primary, and this may be the last copy"
	mark_half
	rm -rf "$PGDATA" "$mark" # and with the data the memory of it: nobody has to keep an empty volume
	rm "$half" # start.sh sees an empty volume, and copies
	exit 0
fi
case "$(disk)" in
standby | empty) exit 0 ;; # was here before
half) refuse "an earlier rejoin was cut off: --reclone" ;;
esac
[ "$(peer_role)" = primary ] || refuse "$peer_host does not answer as a primary"
have_slot || refuse "the primary has given up the WAL that is missing here: --reclone"
mark_half
pg_rewind --target-pgdata "$PGDATA" --config-file "$CONFIG/postgresql.conf" \
	--source-server "host=$peer_host user=replicator dbname=postgres passfile=$passfile"
rm -rf "$PGDATA"/pg_replslot/* # they would keep WAL for nobody
touch "$PGDATA/standby.signal"
rm -f "$half" "$stale"
