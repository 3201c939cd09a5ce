package aufs

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"os"
	"testing"
)

// The records: what the kernel's own module did, test by test, on tmpfs
// branches. See records_run_test.go for how one is replayed.

// record is one line of testdata/aufs.jsonl.gz.
type record struct {
	Test, Title  string
	Branches     []recBranch
	PreMount     []recStep `json:"pre_mount_steps"`
	Mount        recMount
	Steps        []recStep
	AfterMount   map[string][]recEntry `json:"branches_after_mount"`
	After        map[string][]recEntry `json:"branches_after"`
	AfterUmount  map[string][]recEntry `json:"branches_after_umount_if_different"`
	UnionBefore  []recEntry            `json:"union_before"`
	UnionAfter   []recEntry            `json:"union_after"`
	UnionFresh   []recEntry            `json:"union_after_fresh_mount_if_different"`
	BranchFS     string                `json:"branch_fs"`
	KernelParams string                `json:"kernel_args"`
}

type recBranch struct {
	Name     string
	Perm     string
	OwnTmpfs *string `json:"own_tmpfs"`
	RootMode string  `json:"root_mode"`
	RootUID  int     `json:"root_uid"`
	Setup    []recSetup
}

type recSetup struct {
	Type, Path, Data, To, Mode, Rdev string
	UID, GID                         int
	Hole, Fill                       int64
	Xattr                            map[string]string
}

type recMount struct {
	Options, Flags, Target string
	Errno                  int
	ProcMounts             string `json:"proc_mounts"`
}

type recStep struct {
	Op    string
	Cmd   string
	Args  recArgs
	Errno int
	Value json.RawMessage
}

type recArgs struct {
	Path, Path2, Data, Mode, Name, Flags, Fd, Fd2, Rdev string
	N, Off, Fill                                        int64
	UID, GID                                            int
	As                                                  *int
	Argv                                                []string
}

// recEntry is one object of a listing, with the keys of the records.
type recEntry map[string]any

func loadRecords(t testing.TB) []record {
	t.Helper()
	f, err := os.Open("testdata/aufs.jsonl.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var all []record
	s := bufio.NewScanner(z)
	s.Buffer(nil, 1<<24)
	for s.Scan() {
		var r record
		if err := json.Unmarshal(s.Bytes(), &r); err != nil {
			t.Fatalf("record %d: %v", len(all), err)
		}
		all = append(all, r)
	}
	if err := s.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

func (e recEntry) String() string { return fmt.Sprint(map[string]any(e)) }
