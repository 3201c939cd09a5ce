package vm

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// kvmPatience is how long a guest with KVM may take to answer; half a second is
// usual. That /dev/kvm opens proves nothing: inside another VM a guest may start and
// then stand still.
const kvmPatience = 3 * time.Second

// kvmBroken is a file that says that KVM was tried in vain, since a try costs
// kvmPatience. That holds for this boot of this machine and this QEMU, so they are in
// its name.
type kvmBroken struct{ file string }

func newKVMBroken(cacheDir, qemu string) kvmBroken {
	boot, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	sum := sha256.Sum256([]byte(string(boot) + stampOf(qemu)))
	return kvmBroken{filepath.Join(cacheDir, "accel", fmt.Sprintf("kvm-broken-%x", sum[:8]))}
}

// Known tells whether it was found before.
func (k kvmBroken) Known() bool { return exists(k.file) }

// Remember notes it and drops the notes of earlier boots. It is an advantage, not a
// duty: on a full disk the next boot just tries again.
func (k kvmBroken) Remember() {
	dir := filepath.Dir(k.file)
	old, _ := filepath.Glob(filepath.Join(dir, "kvm-broken-*"))
	for _, f := range old {
		os.Remove(f)
	}
	if os.MkdirAll(dir, 0o755) == nil {
		_ = os.WriteFile(k.file, nil, 0o644)
	}
}

// mayUseKVM tells whether this user can open the device at all.
func mayUseKVM() bool { return unix.Access("/dev/kvm", unix.R_OK|unix.W_OK) == nil }
