#!/bin/sh
# create.sh MASTERS REPLICAS: makes one cluster of the pods, with so many replicas of each master.
# It can be run again, also after it was cut off anywhere. It never empties, resets or takes slots
# away: it changes only nodes that have neither slots nor keys, and gives slots out only while no
# node at all has a key. Those it introduces, and replicas that were forgotten: as long as these agree
# on who has slots, nobody brings along what another node has by now.
set -eu

REDISCLI_AUTH=$(cat "$SECRETS/password")
export REDISCLI_AUTH
masters=$1
count=$((masters * (1 + $2)))
slots=16384
nodes=$(seq -f "redis-%g.$HEADLESS_SERVICE" 0 $((count - 1)))
first=${nodes%%[[:space:]]*}

ask() {
	host=$1
	shift
	timeout 5 redis-cli -h "$host" "$@"
}

tell() {
	echo "create.sh: $*"
	host=$1
	shift
	ask "$host" -e "$@" >/dev/null
}

all() {
	for each in $nodes; do
		"$@" "$each" || return 1
	done
}

# A node as it describes itself: ID ADDRESS MASTER SLOTS, where the MASTER of a master is -
own() {
	ask "$1" cluster nodes | grep myself | {
		read -r id address _ master _ _ _ _ ranges && echo "$id ${address%%:6379@*} $master $ranges"
	}
}

address_of() {
	own "$1" | cut -d ' ' -f 2
}

# The nodes that a node reaches, itself included, in the same form.
reached() {
	ask "$1" cluster nodes | while read -r id address flags master _ _ _ link ranges; do
		case "$flags,$link" in
		*,fail* | *handshake* | *noaddr* | *disconnected) ;;
		*) echo "$id ${address%%:6379@*} $master $ranges" ;;
		esac
	done | sort
}

# Of lines in this form: the ids of the masters that no other line names as its own.
without_replica() {
	echo "$1" | while read -r id _ master _; do
		[ "$master" != - ] || echo "$1" | grep -q " $id " || echo "$id"
	done
}

# Who has slots, as a node knows it.
owners() {
	ask "$1" cluster nodes | while read -r id _ _ _ _ _ _ _ ranges; do
		[ -z "$ranges" ] || echo "$id"
	done | sort
}

answers() {
	[ "$(ask "$1" ping 2>/dev/null)" = PONG ]
}

keyless() {
	[ "$(ask "$1" dbsize)" = 0 ]
}

new() {
	case $(own "$1") in
	*" - ") keyless "$1" ;;
	*) return 1 ;;
	esac
}

# A replica that agrees with the seed on who has slots.
follower() {
	case $(own "$1") in
	'' | *" - "*) return 1 ;;
	*) [ "$(owners "$1")" = "$(owners "$seed")" ] ;;
	esac
}

# Who was forgotten still knows the others.
know_each_other() {
	one=$(address_of "$1") other=$(address_of "$2")
	reached "$1" | grep -qF " $other " && reached "$2" | grep -qF " $one "
}

reaches_all() {
	[ "$(reached "$1" | wc -l)" = "$count" ]
}

# How many of these lines are in what a node says: says NODE LINES COMMAND...
says() {
	asked=$1 lines=$2
	shift 2
	ask "$asked" "$@" | tr -d '\r' | grep -cxE "$lines"
}

served() {
	[ "$(says "$1" "cluster_state:ok|cluster_slots_ok:$slots" cluster info)" = 2 ]
}

whole() {
	view=$(reached "$1")
	[ "$1" != "$first" ] || common=$view
	[ "$view" = "$common" ] && [ "$(echo "$view" | wc -l)" = "$count" ] && served "$1" &&
		{ [ "$count" = "$masters" ] || [ -z "$(without_replica "$view")" ]; } &&
		[ "$(says "$1" master_link_status:down info replication)" = 0 ]
}

# More than once: who was told to forget a node is made to forget it again for a minute.
introduce() {
	address=$(address_of "$seed")
	[ "$address" ] || return 0
	for node in $nodes; do
		if { new "$node" || follower "$node"; } && ! know_each_other "$node" "$seed"; then
			tell "$node" cluster meet "$address" 6379
		fi
	done
}

# More than once, as what follows: who did not answer in time was passed over.
give_out_slots() {
	if all keyless && [ "$(says "$seed" "cluster_slots_assigned:$slots" cluster info)" = 0 ]; then
		ordinal=0
		for node in $nodes; do
			from=$((slots * ordinal / masters))
			ordinal=$((ordinal + 1))
			if [ "$ordinal" -le "$masters" ] && new "$node"; then
				tell "$node" cluster addslotsrange "$from" $((slots * ordinal / masters - 1))
			fi
		done
	fi
}

give_out_replicas() {
	[ "$count" != "$masters" ] || return 0
	lines=$(all own) || return 0
	for master in $(without_replica "$(echo "$lines" | grep -v ' - $')"); do
		for node in $nodes; do
			if new "$node"; then
				tell "$node" cluster replicate "$master"
				break
			fi
		done
	done
}

# wait_until CHECK WORDS [COMMAND]: the command is run before each further look.
wait_until() {
	until all "$1"; do
		echo "create.sh: waiting until every node $2; not yet: $each"
		sleep 2
		${3:-:}
	done
}

wait_until answers "answers"
# Whom the new ones are introduced to: a node that has slots, when there is one.
seed=$first
for node in $nodes; do
	case $(own "$node") in
	*" - "?*) seed=$node && break ;;
	esac
done
if all whole; then
	echo "create.sh: the cluster is whole; nothing to do"
	exit 0
fi

introduce
wait_until reaches_all "reaches the others" introduce
give_out_slots
wait_until served "sees all slots served (docs/data-runbooks.md)" give_out_slots
give_out_replicas
wait_until whole "sees the cluster whole" give_out_replicas
