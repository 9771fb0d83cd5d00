# shellcheck shell=sh
# shellcheck disable=SC2154 # its variables are those of common.sh
# How a pod whose volume is empty says so to its peer, while nothing is recorded: without that word nobody
# makes a new database. Nothing in the image listens but a server; so a second, empty one does, at a port of
# its own. It lets in nobody but the peer, with the password of replication, and has no tables to ask for.
# Sourced by start.sh.

blank="${PGDATA%/*}/blank"
blank_pid=
blank_passfile="$SOCKET/blank-pgpass" # the password that it was made with

say_it_is_empty() {
	if [ -n "$blank_pid" ] && kill -0 "$blank_pid" 2>/dev/null; then
		[ "$(cat "$passfile")" != "$(cat "$blank_passfile")" ] || return 0
		end_blank # its peer has another one by now
	fi
	rm -rf "$blank"
	cp "$passfile" "$blank_passfile"
	# As often as it takes: what fails here is tried again, and said.
	initdb --pgdata "$blank" --username replicator --pwfile "$SECRETS/replication-password" --no-sync \
		--locale C --auth-local reject --auth-host scram-sha-256 --set huge_pages=off >/dev/null || return 0
	echo 'host replication replicator all scram-sha-256' >"$blank/pg_hba.conf"
	postgres -D "$blank" -c "port=$blank_port" -c "cluster_name=$POD_NAME" -c listen_addresses='*' \
		-c unix_socket_directories='' -c huge_pages=off -c shared_buffers=1MB -c max_connections=10 \
		-c fsync=off -c log_min_messages=fatal &
	blank_pid=$!
}

# It says so no more: this volume gets data, or is not asked for.
end_blank() {
	[ -n "$blank_pid" ] || return 0
	kill -QUIT "$blank_pid" 2>/dev/null || true
	wait "$blank_pid" || true
	blank_pid=
	rm -rf "$blank"
}
