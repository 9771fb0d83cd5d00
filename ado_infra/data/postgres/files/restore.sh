#!/bin/sh
# restore.sh NAME [OPTION...]: restores the dump that download.sh has fetched, in one transaction: whole
# or not at all. Without further options of pg_restore it goes into an empty database alone.
set -eu
# shellcheck source=backup.sh
. "$CONFIG/backup.sh"
name=$1
shift

read -r sum _ <sha256
found=$(sha256sum dump)
if [ "${found%% *}" != "$sum" ] || ! pg_restore --list dump >/dev/null; then
	refuse "backup $name is damaged: it is not what was written; nothing is changed"
fi
write_passfile
there=$(psql --no-psqlrc --no-password --quiet --no-align --tuples-only --set ON_ERROR_STOP=1 --command "
	SELECT string_agg(relation, ', ') FROM (
		SELECT c.oid::regclass::text AS relation FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
		WHERE relkind IN ('r', 'p', 'v', 'm', 'S', 'f') AND nspname <> 'information_schema' AND nspname !~ '^pg_'
		ORDER BY 1 LIMIT 5) AS found")
if [ $# -eq 0 ] && [ -n "$there" ]; then
	refuse "database $PGDATABASE is not empty ($there): nothing is changed; \`--into-non-empty\` replaces" \
		"what the backup has too, and leaves the rest"
fi
pg_restore --single-transaction --exit-on-error --no-owner --no-password --dbname "$PGDATABASE" "$@" dump
say "backup $name is restored"
