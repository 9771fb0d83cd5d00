#!/bin/sh
# Starts a node of the Redis cluster in this pod.
set -eu
umask 077

# The probes ask this very server: with the password that it has, also when the Secret has a newer.
cat "$SECRETS/password" >"$RUN/password"
cp "$CONFIG/ask.sh" "$CONFIG/meet.sh" "$CONFIG/follow.sh" "$CONFIG/hand_over.sh" "$RUN"

# A password in quotes, as the configuration file wants it.
password=$(sed 's/[\\"]/\\&/g' "$SECRETS/password")
{
	cat "$CONFIG/redis.conf"
	printf 'requirepass "%s"\nmasterauth "%s"\n' "$password" "$password"
	printf 'cluster-announce-ip %s\n' "$POD_IP"
	printf 'cluster-announce-hostname %s.%s\n' "$POD_NAME" "$HEADLESS_SERVICE"
} >"$RUN/redis.conf"

while sleep 5; do
	sh "$RUN/meet.sh" || true
	sh "$RUN/follow.sh" || true
done &

exec redis-server "$RUN/redis.conf"
