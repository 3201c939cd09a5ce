package netdump

import (
	"errors"
	"testing"

	"github.com/vishvananda/netlink"
)

func TestWholeRepeatsWhatWasInterrupted(t *testing.T) {
	calls := 0
	got, err := Whole(func() ([]string, error) {
		if calls++; calls < 3 {
			return []string{"half"}, netlink.ErrDumpInterrupted
		}
		return []string{"a", "b"}, nil
	})
	if err != nil || len(got) != 2 || calls != 3 {
		t.Errorf("Whole = %v, %v after %d calls; want both after 3", got, err, calls)
	}
}

func TestWholeGivesUp(t *testing.T) {
	for _, want := range []error{netlink.ErrDumpInterrupted, errors.New("no such table")} {
		if _, err := Whole(func() (int, error) { return 0, want }); err != want {
			t.Errorf("Whole = %v; want %v", err, want)
		}
	}
}
