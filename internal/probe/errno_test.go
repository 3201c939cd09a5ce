package probe

import (
	"errors"
	"fmt"
	"testing"

	"golang.org/x/sys/unix"
)

func TestDecode(t *testing.T) {
	for _, c := range []struct {
		name string
		v    verdict
		err  error
		want State
	}{
		{"success", verdict{}, nil, Yes},
		{"no such call", verdict{}, unix.ENOSYS, No},
		{"ENOSYS claimed by quota", verdict{off: []unix.Errno{unix.ENOSYS}}, unix.ENOSYS, Off},
		{"refused", absentEINVAL, unix.EPERM, Denied},
		{"refused by a read-only /proc/sys", verdict{}, unix.EROFS, Denied},
		{"namespace limit", absentEINVAL, unix.ENOSPC, Limit},
		{"limit of a kernel before 4.9", absentEINVAL, unix.EUSERS, Limit},
		{"flag unknown", absentEINVAL, unix.EINVAL, No},
		{"size 0", reached, unix.EINVAL, Yes},
		{"bad address", reached, unix.EFAULT, Yes},
		{"no driver behind the node", driver, unix.ENODEV, No},
		{"whatever this is", driver, unix.EIO, Unknown},
		{"not an errno", driver, errors.New("x"), Unknown},
		{"wrapped", driver, fmt.Errorf("open: %w", unix.ENXIO), No},
	} {
		if got := c.v.decode(c.err); got != c.want {
			t.Errorf("%s: decode(%v) = %s; want %s", c.name, c.err, got, c.want)
		}
	}
}

func TestErrnoName(t *testing.T) {
	for err, want := range map[error]string{
		nil: "", unix.EINVAL: "EINVAL", unix.EOPNOTSUPP: "EOPNOTSUPP", fmt.Errorf("a: %w", unix.EPERM): "EPERM",
	} {
		if got := errnoName(err); got != want {
			t.Errorf("errnoName(%v) = %q; want %q", err, got, want)
		}
	}
}

func TestUsable(t *testing.T) {
	for s, want := range map[State]bool{Yes: true, Module: true, Off: false, Denied: false, Limit: false, No: false, Unknown: false} {
		if got := Usable(s); got != want {
			t.Errorf("Usable(%s) = %v; want %v", s, got, want)
		}
	}
}
