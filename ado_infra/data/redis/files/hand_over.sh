#!/bin/sh
# hand_over.sh: run before this node is asked to end. A master lets its replica take over first: so neither
# a rollout, nor a drain, nor fewer replicas leaves its keys without a master, for seconds or for good.
REDISCLI_AUTH=$(cat "$RUN/password")
export REDISCLI_AUTH

is_master() {
	timeout 4 redis-cli info replication 2>/dev/null | tr -d '\r' | grep -qx 'role:master'
}

is_master || exit 0
known=$(timeout 4 redis-cli cluster nodes 2>/dev/null)
own=$(echo "$known" | grep myself | cut -d ' ' -f 1)
replica=$(echo "$known" | while read -r _ address flags master _ _ _ link _; do
	case "$master,$flags,$link" in
	"$own",*fail* | "$own",*noaddr*) ;;
	"$own",*,connected) echo "${address%%:6379@*}" && break ;;
	esac
done)
[ "$replica" ] || exit 0
# The replica asks its master to hold its clients until it has all of it: nothing is lost.
timeout 4 redis-cli -h "$replica" cluster failover >/dev/null 2>&1 || exit 0
for _ in 1 2 3 4 5 6 7 8 9 10; do
	is_master || exit 0
	sleep 1
done
