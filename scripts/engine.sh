#!/bin/sh
# engine.sh: a real Docker Engine to compare with, apart from everything on this machine.
#
#   scripts/engine.sh start DIR     starts dockerd below DIR and prints how to talk to it
#   scripts/engine.sh stop DIR      ends it and removes all that it made
#   scripts/engine.sh run DIR CMD   runs a command where the engine lives (its mounts and its network)
#   scripts/engine.sh image DIR     imports the image "busybox" once more, as start did
#
# DIR must be new or empty, and its name must begin with "cutaway-". The engine lives in a mount and a
# network namespace of its own: its bridge, rules and sysctls are there, its mounts are there, its data
# root is DIR/data, its cgroups are below "cutaway-engine/DIR". The client speaks to DIR/docker.sock:
#
#   docker -H unix://DIR/docker.sock ps
#
# More flags for dockerd may stand in ENGINE_FLAGS, such as --add-runtime NAME=PROGRAM.
#
# Needs root and the packages docker.io, iptables, busybox-static (for the image "busybox").
set -eu

usage() { sed -n '2,17s/^# \{0,1\}//p' "$0" >&2; exit 2; }

[ $# -ge 2 ] || usage
verb=$1
mkdir -p "$2"
dir=$(cd "$2" && pwd)
shift 2
case $(basename "$dir") in cutaway-*) ;; *) echo "engine.sh: $dir: the name must begin with cutaway-" >&2; exit 2 ;; esac
sock=unix://$dir/docker.sock
cgroup=cutaway-engine/$(basename "$dir")

# inside runs in the engine's namespaces: everything private, and "iptables" is the legacy program,
# because Docker 20.10's rules are then not seen as foreign nf_tables rules.
inside() {
	mount --make-rprivate /
	mount -t tmpfs -o mode=755 run /run
	mkdir -p "$dir/bin"
	for tool in iptables ip6tables; do
		for suffix in "" -save -restore; do
			ln -sf "/usr/sbin/$tool-legacy$suffix" "$dir/bin/$tool$suffix"
		done
	done
	ip link set lo up
	# A new network namespace takes this over from the machine. Where the engine finds it set, it leaves
	# the FORWARD policy alone, and its rules would be others on a machine that has run Docker before.
	echo 0 >/proc/sys/net/ipv4/ip_forward
	# The daemon goes into a leaf beside its containers: stop finds there what it started. A hierarchy
	# that takes no process without settings of its own (cpuset) is left alone.
	for c in /sys/fs/cgroup/*/ /sys/fs/cgroup/; do
		[ -w "$c/cgroup.procs" ] || continue
		mkdir -p "$c/$cgroup/daemon" && { echo 0 >"$c/$cgroup/daemon/cgroup.procs"; } 2>/dev/null || true
	done
	PATH=$dir/bin:$PATH exec dockerd --host "$sock" --data-root "$dir/data" --exec-root "$dir/exec" \
		--pidfile "$dir/dockerd.pid" --cgroup-parent "/$cgroup" --storage-driver vfs \
		--exec-opt native.cgroupdriver=cgroupfs --containerd-namespace cutaway --containerd-plugins-namespace cutaway-plugins \
		${ENGINE_FLAGS:-}
}

start() {
	[ ! -e "$dir/dockerd.pid" ] || { echo "engine.sh: $dir: an engine runs here already" >&2; exit 1; }
	setsid unshare --mount --net "$0" inside "$dir" >"$dir/log" 2>&1 &
	for i in $(seq 300); do
		if docker -H "$sock" version >/dev/null 2>&1; then
			image
			echo "$sock"
			return
		fi
		kill -0 $! 2>/dev/null || break
		sleep 0.1
	done
	tail -20 "$dir/log" >&2
	echo "engine.sh: the engine did not come up; its log is $dir/log" >&2
	exit 1
}

# image imports a root file system of one static program as "busybox".
image() {
	rootfs=$(mktemp -d "$dir/rootfs-XXXXXX")
	mkdir -p "$rootfs/bin" "$rootfs/etc" "$rootfs/tmp"
	cp /bin/busybox "$rootfs/bin/busybox" 2>/dev/null || cp /usr/bin/busybox "$rootfs/bin/busybox"
	for applet in $(busybox --list); do
		[ "$applet" = busybox ] || ln -s busybox "$rootfs/bin/$applet"
	done
	echo 'root:x:0:0::/root:/bin/sh' >"$rootfs/etc/passwd"
	tar -C "$rootfs" -c . | docker -H "$sock" import - busybox >/dev/null
	rm -r "$rootfs"
}

run() { exec nsenter --target "$(cat "$dir/dockerd.pid")" --mount --net env PATH="$dir/bin:$PATH" "$@"; }

stop() {
	if [ -e "$dir/dockerd.pid" ]; then
		pid=$(cat "$dir/dockerd.pid")
		docker -H "$sock" ps -aq 2>/dev/null | xargs -r docker -H "$sock" rm -f >/dev/null 2>&1 || true
		kill "$pid" 2>/dev/null || true
		for i in $(seq 200); do kill -0 "$pid" 2>/dev/null || break; sleep 0.1; done
		kill -9 "$pid" 2>/dev/null || true
	fi
	# What the daemon left in its cgroups: containerd, which ends with it, and shims, which may not.
	for c in /sys/fs/cgroup/*/$cgroup /sys/fs/cgroup/$cgroup; do
		[ -d "$c" ] || continue
		find "$c" -name cgroup.procs -exec cat {} + 2>/dev/null | sort -u | xargs -r kill -9 2>/dev/null || true
	done
	# A cgroup can be removed only when its last process has been reaped, so more than one try.
	for try in 1 2 3 4 5 6 7 8 9 10; do
		left=$(find /sys/fs/cgroup -depth -type d -path "*/$cgroup*")
		[ -n "$left" ] || break
		rmdir $left 2>/dev/null || sleep 0.1
	done
	# The common parent stays while another engine is in it.
	rmdir /sys/fs/cgroup/*/cutaway-engine /sys/fs/cgroup/cutaway-engine 2>/dev/null || true
	# Its mounts went with its mount namespace, so nothing below DIR can be another file system now.
	rm -rf --one-file-system "$dir"
}

case $verb in
start | stop | inside | image) "$verb" ;;
run) run "$@" ;;
*) usage ;;
esac
