#!/bin/sh
# meet.sh: introduces this node to its peers, when it misses one.
# Nodes know each other by address. When all pods have got new ones at once, nobody finds anybody; so
# whoever misses a node is introduced to those addresses of the pods at which it knows nobody.
REDISCLI_AUTH=$(cat "$RUN/password")
export REDISCLI_AUTH

# Whatever does not answer is asked again in the next round, and holds up nobody.
# One that is being dialled at an old address counts as connected, until it is missed.
known=$(timeout 4 redis-cli cluster nodes 2>/dev/null)
echo "$known" | grep -qE ',fail|disconnected|noaddr' || exit 0
for address in $(timeout 4 getent hosts "$HEADLESS_SERVICE" | cut -d ' ' -f 1); do
	# Where it knows a node it dials by itself. To be introduced again would replace a link that works, and
	# what is sent meanwhile is lost: perhaps the vote that a failover needs, which then takes 20 s longer.
	case $known in
	*" $address:6379@"*) continue ;;
	esac
	# An address may have passed on to another cluster, which would become one with this one: who
	# takes this password is ours.
	[ "$(timeout 2 redis-cli -h "$address" ping 2>/dev/null)" = PONG ] || continue
	# One that has lost its nodes.conf beside its keys knows nobody. Introduced as the new node that it calls
	# itself, it would hear that its slots are another's, and delete what is in them.
	if [ "$(timeout 2 redis-cli -h "$address" cluster nodes 2>/dev/null | grep -c .)" = 1 ] &&
		[ "$(timeout 2 redis-cli -h "$address" dbsize 2>/dev/null)" != 0 ]; then
		echo "meet.sh: the node at $address has keys and knows nobody: it is not introduced (docs/data-runbooks.md)"
		continue
	fi
	timeout 4 redis-cli cluster meet "$address" 6379 >/dev/null 2>&1 || true
done
