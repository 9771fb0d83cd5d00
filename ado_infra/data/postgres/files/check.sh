#!/bin/sh
# Run by a Job before PostgreSQL's settings or image change: does the stack name the primary that there
# is?
set -eu
is=$(cat "$STATE/primary" 2>/dev/null || echo 0) # a new database begins in pod 0
if [ "$PRIMARY_ORDINAL" != "$is" ]; then
	echo "ado:postgres.primaryOrdinal is $PRIMARY_ORDINAL, and postgresql-state says that the primary is" \
		"postgresql-$is: set the former to $is, or make postgresql-$PRIMARY_ORDINAL the primary first" \
		"with \`ado-ops postgres promote\`" >&2
	exit 1
fi
