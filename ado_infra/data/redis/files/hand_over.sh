#!/bin/sh
# hand_over.sh: run before this node is asked to end. A master lets its replica take over first: so neither
# a rollout, nor a drain, nor fewer replicas leaves its keys without a master, for seconds or for good.
# Both may be told to end at once, as where a stack takes the replicas away and changes the pods in one
# `up`. Then the one that is a master waits until the other is back.
REDISCLI_AUTH=$(cat "$RUN/password")
export REDISCLI_AUTH
end=$(($(date +%s) + 35)) # of the 60 s that it has; the server itself takes some

ask() {
	timeout 4 redis-cli "$@" 2>/dev/null | tr -d '\r'
}

is_master() {
	ask info replication | grep -qx 'role:master'
}

# Where its replicas are that are not known to be away.
replicas() {
	known=$(ask cluster nodes)
	own=$(echo "$known" | grep myself | cut -d ' ' -f 1)
	echo "$known" | while read -r _ address flags master _; do
		case "$master,$flags" in
		"$own",*,fail* | "$own",*noaddr*) ;;
		"$own",*) echo "${address%%:6379@*}" ;;
		esac
	done
}

# Who ends says so to those that would hand over to it; its next start knows nothing of it.
stays() {
	ask -h "$1" config get cluster-replica-no-failover | grep -qx no
}
ask config set cluster-replica-no-failover yes >/dev/null

# Who was chosen just before that is the master a moment later.
is_master || sleep 2
is_master && [ "$(replicas)" ] || exit 0
while [ "$(date +%s)" -lt "$end" ]; do
	for replica in $(replicas); do
		stays "$replica" || continue
		# The replica asks its master to hold its clients until it has all of it: nothing is lost.
		ask -h "$replica" cluster failover >/dev/null
		for _ in 1 2 3 4 5; do
			is_master || exit 0
			sleep 1
		done
	done
	sleep 1
	is_master || exit 0
done
