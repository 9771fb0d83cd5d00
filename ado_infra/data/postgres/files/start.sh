#!/bin/sh
# Starts PostgreSQL in this pod, as primary or as standby. It decides at every start of the
# container, and in doubt it waits or ends: it never deletes a data directory.
set -eu
umask 077

ordinal=${POD_NAME##*-}
peer=$((1 - ordinal))
peer_host="postgresql-$peer.$HEADLESS_SERVICE"

say() {
	echo "start.sh: $*" >&2
}

refuse() {
	say "$*"
	exit 1
}

# While this script waits, or a server for itself alone runs, nobody else ends them for it.
stop() {
	pg_ctl stop --pgdata "$PGDATA" --mode fast >/dev/null 2>&1 || true
	exit 143
}
trap stop TERM INT

# In the background, so that a signal is heard at once.
pause() {
	sleep 2 &
	wait $!
}

answers() {
	pg_isready --quiet --host "$peer_host" --username ado --dbname ado --timeout 2
}

# Also one that is only starting has data; 2 is no answer at all.
has_peer() {
	answers || [ $? -eq 1 ]
}

has_data() {
	[ -s "$PGDATA/PG_VERSION" ]
}

be_primary() {
	if ! has_data; then
		# A standby that serves has the data that this pod has lost: an empty database must
		# not take its place. It may be starting just now, as this pod is.
		for _ in 1 2 3; do
			if has_peer; then
				refuse "no data here, and $peer_host has some: see docs/data.md, Lost volume"
			fi
			pause
		done
		say "first start: making an empty database"
		rm -rf "$PGDATA.new"
		initdb --pgdata "$PGDATA.new" --username postgres --encoding UTF8 \
			--locale-provider builtin --locale C.UTF-8 --data-checksums \
			--auth-local peer --auth-host scram-sha-256 >/dev/null
		mv "$PGDATA.new" "$PGDATA" # whole or not at all
	fi
	if [ -e "$PGDATA/standby.signal" ]; then
		refuse "this pod is the standby, and ado:postgres.primaryOrdinal says primary: see docs/data.md, Failover"
	fi
	set_up_roles
	say "starting as primary"
	exec postgres -D "$PGDATA" -c config_file="$CONFIG/postgresql.conf" -c hba_file="$CONFIG/pg_hba.conf"
}

# Roles, passwords, database and slot, at every start and before anybody can connect: so a
# password that was changed in its Secret is changed here too.
set_up_roles() {
	pg_ctl start --pgdata "$PGDATA" --wait --timeout 3600 --silent --options \
		"-c config_file=$CONFIG/postgresql.conf -c hba_file=$CONFIG/pg_hba.conf -c listen_addresses=''"
	psql --no-psqlrc --quiet --tuples-only --host "$SOCKET" --username postgres --dbname postgres \
		--set secrets="$SECRETS" --set slot="postgresql_$peer" --file "$CONFIG/roles.sql" >/dev/null
	pg_ctl stop --pgdata "$PGDATA" --wait --mode fast --silent
}

be_standby() {
	write_passfile
	if ! has_data; then
		clone
	fi
	if [ ! -e "$PGDATA/standby.signal" ]; then
		refuse "this pod was the primary, and ado:postgres.primaryOrdinal says standby: see docs/data.md, Failover"
	fi
	chmod 0700 "$PGDATA"
	say "starting as standby of $peer_host"
	exec postgres -D "$PGDATA" -c config_file="$CONFIG/postgresql.conf" -c hba_file="$CONFIG/pg_hba.conf" \
		-c max_connections="$(enough_connections)" \
		-c primary_conninfo="host=$peer_host user=replicator passfile=$PGPASSFILE application_name=$POD_NAME" \
		-c primary_slot_name="postgresql_$ordinal"
}

# A standby may never allow fewer connections than its primary did, and it is started first: a lower
# number is taken over once the primary has it.
enough_connections() {
	wanted=$(sed -n 's/^max_connections = //p' "$CONFIG/postgresql.conf")
	needed=$(pg_controldata "$PGDATA" | sed -n 's/^max_connections setting: *//p')
	echo $((wanted > needed ? wanted : needed))
}

# libpq reads it only when nobody else could; a mounted Secret is readable by the pod's group.
write_passfile() {
	export PGPASSFILE="$SOCKET/pgpass"
	printf '*:*:*:replicator:%s\n' "$(sed 's/[\\:]/\\&/g' "$SECRETS/replication-password")" >"$PGPASSFILE"
}

clone() {
	said=
	until answers && copy; do
		[ -n "$said" ] || say "waiting for a primary at $peer_host to copy"
		said=yes
		pause
	done
}

copy() {
	say "copying $peer_host"
	rm -rf "$PGDATA.new"
	pg_basebackup --pgdata "$PGDATA.new" --host "$peer_host" --username replicator --no-password \
		--wal-method stream --slot "postgresql_$ordinal" --checkpoint fast &&
		touch "$PGDATA.new/standby.signal" &&
		mv "$PGDATA.new" "$PGDATA" # whole or not at all
}

if has_data; then
	chmod 0700 "$PGDATA" # a volume's group rights would be refused
fi
if [ "$ordinal" = "$PRIMARY_ORDINAL" ]; then
	be_primary
else
	be_standby
fi
