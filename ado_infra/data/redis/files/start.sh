#!/bin/sh
# Starts a node of the Redis cluster in this pod.
set -eu
umask 077

# The probes ask this very server: with the password that it has, also when the Secret has a newer.
cat "$SECRETS/password" >"$RUN/password"
cp "$CONFIG/ask.sh" "$RUN/ask.sh"

# A password in quotes, as the configuration file wants it.
password=$(sed 's/[\\"]/\\&/g' "$SECRETS/password")
{
	cat "$CONFIG/redis.conf"
	printf 'requirepass "%s"\nmasterauth "%s"\n' "$password" "$password"
	printf 'cluster-announce-ip %s\n' "$POD_IP"
	printf 'cluster-announce-hostname %s.%s\n' "$POD_NAME" "$HEADLESS_SERVICE"
} >"$RUN/redis.conf"

# Nodes know each other by address. When all pods have got new ones at once, nobody finds anybody;
# so while this node misses one, it is introduced to the addresses that the names stand for now.
meet_peers() {
	REDISCLI_AUTH=$(cat "$SECRETS/password")
	export REDISCLI_AUTH
	while sleep 5; do
		# One that is being dialled at an old address counts as connected, until it is missed.
		redis-cli cluster nodes 2>/dev/null | grep -qE ',fail|disconnected|noaddr' || continue
		for node in $NODES; do
			address=$(getent hosts "$node.$HEADLESS_SERVICE" | cut -d ' ' -f 1)
			case "$address" in
			"" | "$POD_IP") continue ;;
			esac
			redis-cli cluster meet "$address" 6379 >/dev/null 2>&1 || true
		done
	done
}
meet_peers &

exec redis-server "$RUN/redis.conf"
