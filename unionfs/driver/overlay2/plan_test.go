package overlay2_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cutaway/internal/needs"
	"cutaway/unionfs"
	"cutaway/unionfs/contract"
	"cutaway/unionfs/driver/overlay2"
)

// stack is a mount of n layers with names as long as the driver's.
func stack(home string, n int) overlay2.Spec {
	s := overlay2.Spec{Home: home, Extra: []string{"index=off"}, Upper: strings.Repeat("a", 64) + "/diff", Work: strings.Repeat("a", 64) + "/work"}
	for i := range n {
		s.Lowers = append(s.Lowers, fmt.Sprintf("l/%026d", i))
	}
	return s
}

func TestOptions(t *testing.T) {
	s := overlay2.Spec{Home: "/h", Lowers: []string{"l/A", "l/B"}, Upper: "x/diff", Work: "x/work", Extra: []string{"userxattr", "index=off"}}
	if got, want := s.Options(false), "userxattr,index=off,lowerdir=l/A:l/B,upperdir=x/diff,workdir=x/work"; got != want {
		t.Errorf("Options(short) = %q; want %q", got, want)
	}
	if got, want := s.Options(true), "userxattr,index=off,lowerdir=/h/l/A:/h/l/B,upperdir=/h/x/diff,workdir=/h/x/work"; got != want {
		t.Errorf("Options(full) = %q; want %q", got, want)
	}
}

// TestPlan: where each way of mounting ends. 128 short names are Docker's limit,
// and the reason for it.
func TestPlan(t *testing.T) {
	const home = "/var/lib/cutaway/overlay2"
	for n, want := range map[int]overlay2.Way{1: overlay2.Absolute, 60: overlay2.Absolute, 80: overlay2.Relative, 128: overlay2.Relative, 136: overlay2.Fsconfig, 500: overlay2.Fsconfig} {
		if got := stack(home, n).Plan(); got != want {
			t.Errorf("Plan of %d layers = %s; want %s", n, got, want)
		}
	}
	for _, bad := range []overlay2.Spec{{Home: "/a:b", Lowers: []string{"l"}}, {Home: "/a,b", Lowers: []string{"l"}}, {Home: "/a"}} {
		if err := bad.Check(); err == nil {
			t.Errorf("Check(%+v) = nil; want an error", bad)
		}
	}
}

// TestWays mounts stacks that only one way can mount, and looks through them.
func TestWays(t *testing.T) {
	needs.Root(t)
	mountEachWay(t)
}

// mountEachWay mounts stacks with further options, if any.
func mountEachWay(t *testing.T, extra ...string) {
	for _, n := range []int{40, 128, 200} {
		home := contract.TempDir(t)
		s := stack(home, n)
		s.Extra = append(s.Extra, extra...)
		for i, l := range append(s.Lowers, s.Upper, s.Work, "merged") {
			if err := os.MkdirAll(filepath.Join(home, l), 0o755); err != nil {
				t.Fatal(err)
			}
			if i < n {
				os.WriteFile(filepath.Join(home, l, fmt.Sprint("f", i)), nil, 0o644)
			}
		}
		merged := filepath.Join(home, "merged")
		if err := s.MountAt(merged); err != nil {
			t.Errorf("MountAt of %d layers by %s: %v", n, s.Plan(), err)
			continue
		}
		list, err := os.ReadDir(merged)
		if err != nil || len(list) != n {
			t.Errorf("through %d layers mounted by %s: %d files, %v; want %d", n, s.Plan(), len(list), err, n)
		}
		if err := unionfs.Unmount(merged); err != nil {
			t.Error(err)
		}
	}
}

// TestUserNamespace runs the contract without root: in a user namespace, where
// overlayfs keeps its marks in user.* attributes.
func TestUserNamespace(t *testing.T) {
	needs.Root(t)
	if os.Getenv("CUTAWAY_OVERLAY2_USERNS") == "" {
		exe, _ := os.Executable()
		t.Setenv("CUTAWAY_OVERLAY2_USERNS", "1")
		out := contract.Command(t, "unshare", "-U", "-r", "-m", exe, "-test.run=TestUserNamespace", "-test.v")
		if !strings.Contains(out, "--- PASS: TestUserNamespace/Story") {
			t.Errorf("the story was not told in the user namespace:\n%s", out)
		}
		return
	}
	d, err := open(contract.TempDir(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range d.Status() {
		if f.Name == "userxattr" && f.Value != "true" {
			t.Errorf("userxattr = %s in a user namespace; want true", f.Value)
		}
	}
	mountEachWay(t, "userxattr") // a flag, which fsconfig(2) takes in another way than mount(2)
	contract.Run(t, contract.Case{Open: open, Slow: true, Residue: residue, Lacks: map[string]string{
		"device": "mknod(2) of devices is refused in a user namespace",
		"owner":  "only one id is mapped",
	}})
}

// TestSizeLimit needs a file system with project quota: XFS mounted with pquota,
// or ext4 with prjquota, on a kernel that was built with them.
func TestSizeLimit(t *testing.T) {
	needs.Root(t)
	for _, fs := range []struct {
		kind, option, why string
		mkfs              []string
	}{
		{"xfs", "pquota", "project quota on XFS (kernel option XFS_QUOTA, package xfsprogs)", []string{"mkfs.xfs", "-q"}},
		{"ext4", "prjquota", "project quota on ext4 (kernel option QFMT_V2, package e2fsprogs)", []string{"mkfs.ext4", "-q", "-O", "project,quota", "-E", "quotatype=prjquota"}},
	} {
		t.Run(fs.kind, func(t *testing.T) {
			dir, err := contract.TryLoopMount(t, fs.kind, fs.option, 320<<20, fs.mkfs...)
			needs.That(t, err == nil, fmt.Sprintf("%s: %v", fs.why, err))
			home := filepath.Join(dir, "overlay2")
			d, err := open(home)
			if err != nil {
				t.Fatal(err)
			}
			needs.That(t, d.Status()[4].Value == "true", fs.why+": "+d.Status()[4].Value)
			contract.RunLimit(t, contract.Case{Open: open, Home: func(*testing.T) string { return home }, Residue: residue})
		})
	}
}
