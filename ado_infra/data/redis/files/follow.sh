#!/bin/sh
# follow.sh: lets a replica copy from where its master is.
# Who hears from a third node where its master is now dials there, but goes on copying from the old
# address, for ever, while everybody calls it connected.
REDISCLI_AUTH=$(cat "$RUN/password")
export REDISCLI_AUTH

# In this order: should Redis correct itself in between, the newer answer is the table.
copied=$(timeout 4 redis-cli info replication 2>/dev/null | tr -d '\r' | sed -n 's/^master_host://p')
[ "$copied" ] || exit 0
known=$(timeout 4 redis-cli cluster nodes 2>/dev/null)
master=$(echo "$known" | grep myself | cut -d ' ' -f 4)
address=$(echo "$known" | grep "^$master " | cut -d ' ' -f 2)
case $address in
"$copied":6379@*) ;;
?*:6379@*)
	answer=$(timeout 4 redis-cli cluster replicate "$master" 2>&1)
	echo "follow.sh: the master is no longer at $copied, but at ${address%%:6379@*}: $answer"
	;;
esac
