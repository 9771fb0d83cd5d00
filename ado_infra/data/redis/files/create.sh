#!/bin/sh
# Makes one cluster of the nodes, once: each gets its share of the slots and meets the others.
# Can be run again, also after it was cut off; it never empties, resets or takes slots away, and
# touches nothing where there are keys already.
set -eu

REDISCLI_AUTH=$(cat "$SECRETS/password")
export REDISCLI_AUTH
slots=16384
count=$(echo "$NODES" | wc -w)

ask() {
	node=$1
	shift
	redis-cli -h "$node.$HEADLESS_SERVICE" "$@"
}

all() {
	for node in $NODES; do
		"$@" "$node" || return 1
	done
}

answers() {
	[ "$(ask "$1" ping 2>/dev/null)" = PONG ]
}

whole() {
	state=$(ask "$1" cluster info | tr -d '\r')
	echo "$state" | grep -q '^cluster_state:ok$' &&
		echo "$state" | grep -q "^cluster_slots_assigned:$slots$" &&
		echo "$state" | grep -q "^cluster_known_nodes:$count$"
}

empty() {
	[ "$(ask "$1" dbsize)" = 0 ]
}

wait_until() {
	until all "$1"; do
		echo "create.sh: waiting until every node $2"
		sleep 2
	done
}

wait_until answers "answers"
if all whole; then
	echo "create.sh: the cluster is whole; nothing to do"
	exit 0
fi
if ! all empty; then
	# Nodes that have just been started anew find each other again; nothing here is to be made.
	wait_until whole "of this cluster, which has keys, finds the others (docs/data.md)"
	exit 0
fi

ordinal=0
for node in $NODES; do
	first=$((slots * ordinal / count))
	last=$((slots * (ordinal + 1) / count - 1))
	ordinal=$((ordinal + 1))
	if ! ask "$node" cluster nodes | grep myself | grep -q "$first-$last"; then
		ask "$node" -e cluster addslotsrange "$first" "$last"
		ask "$node" -e cluster set-config-epoch "$ordinal"
	fi
done
seed=${NODES%% *}
for node in ${NODES#* }; do
	address=$(getent hosts "$node.$HEADLESS_SERVICE" | cut -d ' ' -f 1)
	ask "$seed" cluster meet "$address" 6379
done
wait_until whole "knows the others and all $slots slots"
