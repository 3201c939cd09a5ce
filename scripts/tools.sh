#!/bin/sh
# Installs the programs that the labs' shell lines, the tests and the benchmarks
# use, where they are missing. It says what it installs before it does.
#
#   scripts/tools.sh         what demo and test use
#   scripts/tools.sh peers   also the engines and runtimes that we are compared with
set -eu

# program:package
wanted="
unshare:util-linux nsenter:util-linux mount:mount findmnt:util-linux setpriv:util-linux
ipcmk:util-linux perl:perl-base ip:iproute2 ping:iputils-ping nc:netcat-openbsd socat:socat ps:procps hostname:hostname
nft:nftables iptables:iptables tcpdump:tcpdump busybox:busybox-static jq:jq getfattr:attr capsh:libcap2-bin
qemu-system-x86_64:qemu-system-x86 dmsetup:dmsetup mkfs.ext4:e2fsprogs mkfs.btrfs:btrfs-progs mkfs.xfs:xfsprogs
zfs-fuse:zfs-fuse /usr/lib/cni/bridge:containernetworking-plugins runc:runc bwrap:bubblewrap
"
peers="
dockerd:docker.io docker:docker-cli umoci:umoci skopeo:skopeo unionfs:unionfs-fuse fuse-overlayfs:fuse-overlayfs
docker-registry:docker-registry fsck.erofs:erofs-utils thin_dump:thin-provisioning-tools podman:podman crun:crun bats:bats gawk:gawk
"
[ "${1:-}" != peers ] || wanted="$wanted $peers"

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

# Some of these are services. They are wanted as programs, and must not start:
# policy-rc.d is how Debian is told so.
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
	trap 'rm -f $policy' EXIT
	printf '#!/bin/sh\nexit 101\n' >$policy
	chmod 755 $policy
fi
echo "installing with apt-get (no service is started):$packages"
apt-get update -q >/dev/null
# One that this release does not have must not keep the others away.
DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $packages >/dev/null ||
	for package in $packages; do
		DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$package" >/dev/null ||
			echo "$package could not be installed; what needs it will be reported as untested" >&2
	done
