package probe

import (
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// A usernsPolicy is everything besides the kernel that may forbid user
// namespaces to an ordinary user.
type usernsPolicy struct {
	max       string // user.max_user_namespaces
	clone     string // kernel.unprivileged_userns_clone, a Debian and Arch patch; "" = allowed
	apparmor  string // kernel.apparmor_restrict_unprivileged_userns, Ubuntu since 23.10
	cmdline   string // RHEL 7 wants user_namespace.enable=1
	profile   string // LSM profile of this process
	chrooted  bool   // a chrooted process may not create one
	seccomped bool   // a filter may answer in the kernel's place
	bareRoot  bool   // uid 0 without CAP_SETFCAP: may not map uid 0, since 5.12
}

// readUsernsPolicy reads the files below root.
func readUsernsPolicy(root string) usernsPolicy {
	status := text(root + "/proc/self/status")
	return usernsPolicy{
		bareRoot:  os.Geteuid() == 0 && !hasCap(statusField(status, "CapEff"), unix.CAP_SETFCAP),
		max:       text(root + "/proc/sys/user/max_user_namespaces"),
		clone:     text(root + "/proc/sys/kernel/unprivileged_userns_clone"),
		apparmor:  text(root + "/proc/sys/kernel/apparmor_restrict_unprivileged_userns"),
		cmdline:   text(root + "/proc/cmdline"),
		profile:   text(root + "/proc/self/attr/current"),
		chrooted:  chrooted(ownMounts()),
		seccomped: statusField(status, "Seccomp") == "2",
	}
}

// Reasons and lines to paste of the user namespace policy.
const (
	reasonMaxUserns    = "user.max_user_namespaces is 0"
	fixMaxUserns       = "sysctl -w user.max_user_namespaces=15000   # lasts until the next boot; keep it in /etc/sysctl.d/"
	reasonUsernsClone  = "kernel.unprivileged_userns_clone is 0: only root may make user namespaces"
	fixUsernsClone     = "sysctl -w kernel.unprivileged_userns_clone=1   # Debian and Arch kernels"
	reasonUsernsArmor  = "AppArmor takes the capabilities away inside new user namespaces"
	fixUsernsArmor     = "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0   # Ubuntu; or give this program an AppArmor profile with userns"
	reasonUsernsChroot = "this process runs in a chroot, where the kernel refuses new user namespaces"
	reasonUsernsBare   = "root without CAP_SETFCAP may not map uid 0"
	reasonUsernsFilter = "a seccomp filter is active and may be what refuses it"
)

// explainUserns looks for the policy behind a refused user namespace. What is
// switched off can be switched on; a refusal without a visible policy stays
// what it is.
func explainUserns(f Finding, p usernsPolicy) Finding {
	off := func(reason, fix string) Finding {
		f.State, f.Reason, f.Fix = Off, reason, fix
		return f
	}
	switch {
	case f.State == Limit && p.max == "0":
		return off(reasonMaxUserns, fixMaxUserns)
	case f.State != Denied:
		return f
	case p.chrooted:
		return f.because(reasonUsernsChroot)
	case p.clone == "0":
		return off(reasonUsernsClone, fixUsernsClone)
	case p.apparmor == "1":
		return off(reasonUsernsArmor, fixUsernsArmor)
	case p.bareRoot:
		return f.because(reasonUsernsBare)
	case p.seccomped:
		return f.because(reasonUsernsFilter)
	case p.profile != "" && !strings.HasPrefix(p.profile, "unconfined"):
		return f.because("the security profile of this process may be what refuses it: " + p.profile)
	}
	return f
}

// chrooted tells whether this process sees a root that is not the root of a
// mount: mountinfo shows only what is below the root, and then has no line for "/".
func chrooted(mounts []mountLine) bool {
	for _, m := range mounts {
		if m.point == "/" {
			return false
		}
	}
	return len(mounts) > 0
}
