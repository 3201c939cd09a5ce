package nsdemo_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"cutaway/internal/needs"
	"cutaway/nsdemo"
)

func TestTmpfsIsSeenInsideOnly(t *testing.T) {
	dir := tempDir(t)
	p := start(t, nsdemo.Spec{Kinds: []nsdemo.Kind{nsdemo.Mnt}})
	do(t, p.MountTmpfs(t.Context(), dir, 20<<20))

	for _, from := range []func() ([]*nsdemo.Mount, error){
		func() ([]*nsdemo.Mount, error) { return p.Mounts(t.Context()) },
		func() ([]*nsdemo.Mount, error) { return nsdemo.Mounts(proc, p.Pid()) },
	} {
		m := nsdemo.MountAt(must(from())(t), dir)
		if m == nil || m.FSType != "tmpfs" || nsdemo.PropagationOf(m) != nsdemo.Private {
			t.Errorf("mount table inside at %s = %+v; want a private tmpfs", dir, m)
		}
	}
	inside := must(p.Statfs(t.Context(), dir))(t)
	if inside.Size != 20<<20 || inside.Type != unix.TMPFS_MAGIC {
		t.Errorf("statfs inside = %+v; want 20 MB of tmpfs", inside)
	}
	if m := nsdemo.MountAt(must(nsdemo.Mounts(proc, os.Getpid()))(t), dir); m != nil {
		t.Errorf("the host has the mount, too: %+v", m)
	}
	if outside := must(nsdemo.Statfs(dir))(t); outside.Size == inside.Size {
		t.Errorf("statfs outside = %+v; want another filesystem", outside)
	}
}

func TestOnlyTheMntIDDiffers(t *testing.T) {
	needs.Root(t)
	p := start(t, nsdemo.Spec{Kinds: []nsdemo.Kind{nsdemo.Mnt}})
	own, inside := must(nsdemo.IDs(proc, os.Getpid()))(t), must(p.IDs(t.Context()))(t)
	if diff := cmp.Diff([]nsdemo.Kind{nsdemo.Mnt}, nsdemo.Differing(own, inside)); diff != "" {
		t.Errorf("kinds that differ (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(inside, must(nsdemo.IDs(proc, p.Pid()))(t)); diff != "" {
		t.Errorf("ids (-inside +by pid):\n%s", diff)
	}
}

// Two copies of one tree: what is mounted in the first is seen in the second as
// the type of the parent mount says, and the other way round.
func TestPropagation(t *testing.T) {
	tests := []struct {
		type2     nsdemo.Propagation // set in the second, of a shared parent
		out, back bool               // first to second, second to first
	}{
		{nsdemo.Shared, true, true},
		{nsdemo.Slave, true, false},
		{nsdemo.Private, false, false},
		{nsdemo.Unbindable, false, false},
	}
	for _, test := range tests {
		t.Run(string(test.type2), func(t *testing.T) {
			dir := tempDir(t)
			first := start(t, nsdemo.Spec{Kinds: []nsdemo.Kind{nsdemo.Mnt}})
			do(t, first.MountTmpfs(t.Context(), dir, 1<<20))
			do(t, first.SetPropagation(t.Context(), dir, nsdemo.Shared, false))
			do(t, first.Mkdir(t.Context(), dir+"/a", 0o755))
			do(t, first.Mkdir(t.Context(), dir+"/b", 0o755))
			second := join(t, first.Pid(), nsdemo.Mnt)
			do(t, second.Unshare(t.Context(), nsdemo.Mnt)) // a copy: a peer of the first's mount
			do(t, second.SetPropagation(t.Context(), dir, test.type2, false))

			do(t, first.MountTmpfs(t.Context(), dir+"/a", 1<<20))
			do(t, second.MountTmpfs(t.Context(), dir+"/b", 1<<20))
			sees := func(p *nsdemo.Process, at string) bool {
				return nsdemo.MountAt(must(nsdemo.Mounts(proc, p.Pid()))(t), at) != nil
			}
			if got := sees(second, dir+"/a"); got != test.out {
				t.Errorf("a mount of the first is seen in the second: %v; want %v", got, test.out)
			}
			if got := sees(first, dir+"/b"); got != test.back {
				t.Errorf("a mount of the second is seen in the first: %v; want %v", got, test.back)
			}
			m := nsdemo.MountAt(must(nsdemo.Mounts(proc, second.Pid()))(t), dir)
			if got := nsdemo.PropagationOf(m); got != test.type2 {
				t.Errorf("the mount table says %q (%q); want %q", got, m.Optional, test.type2)
			}
		})
	}
}

// tree makes a folder with a file, to be a root.
func tree(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(tempDir(t), "root")
	do(t, os.MkdirAll(dir+"/proc", 0o777))
	do(t, os.WriteFile(dir+"/marker", []byte("here"), 0o644))
	return dir
}

func TestPivotRootLeavesNoWayBack(t *testing.T) {
	for _, as := range []*nsdemo.UserID{nil, nobody()} {
		spec := nsdemo.Spec{Kinds: []nsdemo.Kind{nsdemo.Mnt}, As: as}
		if as != nil || os.Getuid() != 0 {
			spec.Kinds = append(spec.Kinds, nsdemo.User)
		}
		if os.Getuid() != 0 {
			spec.As = nil
		}
		dir := tree(t)
		do(t, os.Chmod(dir, 0o777))
		p := start(t, spec)
		do(t, p.PivotRoot(t.Context(), dir))
		if diff := cmp.Diff([]string{"marker", "proc"}, must(p.List(t.Context(), "/"))(t)); diff != "" {
			t.Errorf("the inner / (-want +got):\n%s", diff)
		}
		table := must(nsdemo.Mounts(proc, p.Pid()))(t)
		if len(table) != 1 || table[0].Mountpoint != "/" {
			t.Errorf("the inner mount table has %d lines; want / alone", len(table))
		}
		e := must(p.EscapeChroot(t.Context()))(t)
		if e.Escaped || len(e.Listing) != 2 {
			t.Errorf("after pivot_root the way out led to %+v; want nowhere", e)
		}
	}
}

func TestChrootIsEscaped(t *testing.T) {
	dir := tree(t)
	p := start(t, nsdemo.Spec{Kinds: []nsdemo.Kind{nsdemo.Mnt}})
	do(t, p.Chroot(t.Context(), dir))
	if diff := cmp.Diff([]string{"marker", "proc"}, must(p.List(t.Context(), "/"))(t)); diff != "" {
		t.Errorf("the inner / (-want +got):\n%s", diff)
	}
	e := must(p.EscapeChroot(t.Context()))(t)
	outer := must(nsdemo.Stat("/"))(t)
	if !e.Escaped || e.After.Inode != outer.Inode || e.After.Dev != outer.Dev {
		t.Errorf("after chroot the way out led to %+v; want the host's / %+v", e, outer)
	}
	if names := must(os.ReadDir(dir))(t); len(names) != 2 {
		t.Errorf("the tree has %v afterwards; want nothing left in it", names)
	}
}

func TestPivotRootErrorsNameTheCause(t *testing.T) {
	p := start(t, nsdemo.Spec{Kinds: []nsdemo.Kind{nsdemo.Mnt}})
	if err := p.PivotRoot(t.Context(), "/no/such"); !errors.Is(err, unix.ENOENT) {
		t.Errorf("PivotRoot(/no/such) = %v; want ENOENT", err)
	}
	if err := p.PivotRoot(t.Context(), "/proc/version"); !errors.Is(err, unix.ENOTDIR) {
		t.Errorf("PivotRoot(a file) = %v; want ENOTDIR", err)
	}
	if err := p.Unmount(t.Context(), "/no/such", true); !errors.Is(err, unix.ENOENT) {
		t.Errorf("Unmount(/no/such) = %v; want ENOENT", err)
	}
}
