#!/bin/sh
# Run by a Job once there is a database: whom the record names, where that one is the primary in earnest; of
# a record that was lost nobody knows what it said. What kubectl has to apply then: the record as it was seen
# here, and Services that lead by it.
set -eu
export PGCONNECT_TIMEOUT=10

# A new database begins in pod 0.
recorded_primary() {
	cat "$STATE/primary" 2>/dev/null || echo 0
}

# With the password of now: it may be rotated while this waits.
in_recovery() {
	PGPASSWORD=$(cat "$SECRETS/password") psql --no-psqlrc --quiet --no-align --tuples-only --host "$POD-$1.$HEADLESS_SERVICE" \
		--username "$DATABASE" --dbname "$DATABASE" --command 'SELECT pg_is_in_recovery()'
}

# As long as the Job may: nobody else waits until the database is there. Another pod may be promoted meanwhile.
until primary=$(recorded_primary) && standby=$(in_recovery "$primary"); do
	sleep 2
done
if [ "$standby" != f ]; then
	echo "By postgresql-state $POD-$primary is the primary, and it is a standby: \`ado-ops postgres" \
		"status\` says what to do" >&2
	exit 1
fi
if [ "$(in_recovery $((1 - primary)) 2>/dev/null)" = f ]; then
	echo "Both pods are primary: see docs/data-runbooks.md, Both pods are primary" >&2
	exit 1
fi
printenv "RECORD_OF_$primary" >"$SERVED/record.json"
printenv "SERVICES_OF_$primary" >"$SERVED/services.json"
