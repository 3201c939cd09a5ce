#!/bin/sh
# Installs the programs that the labs' shell lines, the tests and the benchmarks
# use, where they are missing. It says what it installs before it does.
set -eu

# program:package
wanted="
unshare:util-linux nsenter:util-linux mount:mount findmnt:util-linux setpriv:util-linux
ipcmk:util-linux perl:perl-base ip:iproute2 ping:iputils-ping nc:netcat-openbsd socat:socat ps:procps hostname:hostname
nft:nftables iptables:iptables tcpdump:tcpdump busybox:busybox-static
qemu-system-x86_64:qemu-system-x86 dmsetup:dmsetup mkfs.btrfs:btrfs-progs mkfs.xfs:xfsprogs
runc:runc bwrap:bubblewrap
"
packages=""
for pair in $wanted; do
	program=${pair%%:*}
	PATH="$PATH:/usr/sbin:/sbin" command -v "$program" >/dev/null 2>&1 && continue
	package=${pair#*:}
	case " $packages " in *" $package "*) ;; *) packages="$packages $package" ;; esac
done
[ -n "$packages" ] || exit 0

if ! command -v apt-get >/dev/null 2>&1; then
	echo "missing programs; install these packages (Debian's names) with your package manager:$packages" >&2
	echo "what needs them will be reported as untested" >&2
	exit 0
fi
if [ "$(id -u)" -ne 0 ]; then
	echo "missing programs; install them with: sudo apt-get install$packages" >&2
	echo "what needs them will be reported as untested" >&2
	exit 0
fi
echo "installing with apt-get:$packages"
apt-get update -q >/dev/null
DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $packages >/dev/null
