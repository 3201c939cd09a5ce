package zfs

import (
	"errors"
	"io/fs"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

func TestParseTable(t *testing.T) {
	got := parseTable("cutaway\t1K\ncutaway/a b\t-\n\n")
	if want := [][]string{{"cutaway", "1K"}, {"cutaway/a b", "-"}}; !cmp.Equal(got, want) {
		t.Errorf("parseTable = %q; want %q", got, want)
	}
}

// TestErrors: messages as zfs-fuse 0.7.0 and ZFS 2.1 print them.
func TestErrors(t *testing.T) {
	for text, want := range map[string]error{
		"cannot open 'p/x': dataset does not exist":                      fs.ErrNotExist,
		"could not find any snapshots to destroy; check snapshot names.": fs.ErrNotExist,
		"cannot create 'p/x': dataset already exists":                    fs.ErrExist,
		"cannot destroy 'p/x': filesystem has dependent clones":          unix.EBUSY,
		"cannot unmount '/x': not currently mounted":                     errNotMounted,
		"cannot mount 'p/x': mountpoint or dataset is busy":              errBusy,
	} {
		if err := (&commandError{text: text}); !errors.Is(err, want) {
			t.Errorf("%q is not %v", text, want)
		}
	}
}

func FuzzParseTable(f *testing.F) {
	f.Add("a\tb\nc\n")
	f.Fuzz(func(t *testing.T, text string) {
		for _, row := range parseTable(text) {
			if len(row) == 0 {
				t.Error("a row without a column")
			}
		}
	})
}

// As zfs-fuse prints it; the kernel's zpool has the same table.
func TestParseDevices(t *testing.T) {
	const status = `  pool: cutaway
 state: ONLINE
 scan: none requested
config:

	NAME              STATE     READ WRITE CKSUM
	cutaway           ONLINE       0     0     0
	  /tmp/pool.img   ONLINE       0     0     0

errors: No known data errors
`
	for text, want := range map[string][]string{status: {"/tmp/pool.img"}, "": nil, "config:\n": nil} {
		if got := parseDevices("cutaway", text); !slices.Equal(got, want) {
			t.Errorf("parseDevices(%q) = %q; want %q", text, got, want)
		}
	}
}

func FuzzParseDevices(f *testing.F) {
	f.Add("cutaway", "config:\n\n\tNAME STATE\n\tcutaway ONLINE\n\t  /tmp/pool.img ONLINE\n\nerrors: none\n")
	f.Add("", "config:\n")
	f.Fuzz(func(t *testing.T, pool, status string) {
		for _, d := range parseDevices(pool, status) {
			if d == "" {
				t.Error("a device without a name")
			}
		}
	})
}
