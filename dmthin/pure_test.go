package dmthin_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"cutaway/dmthin"
)

// Every target's line, as dmsetup(8) takes it, and back.
var targetLines = []struct {
	target dmthin.Target
	line   string
}{
	{dmthin.Linear{Device: "7:0", Offset: 2048}, "0 128 linear 7:0 2048"},
	{dmthin.Fail{}, "0 128 error"},
	{dmthin.Zero{}, "0 128 zero"},
	{dmthin.Flakey{Linear: dmthin.Linear{Device: "/dev/sda"}, Up: 1, Down: 2}, "0 128 flakey /dev/sda 0 1 2"},
	{dmthin.Flakey{Linear: dmthin.Linear{Device: "7:1", Offset: 8}, Down: 9, Features: []string{"drop_writes"}}, "0 128 flakey 7:1 8 0 9 1 drop_writes"},
	{dmthin.SnapshotOrigin{Device: "7:0"}, "0 128 snapshot-origin 7:0"},
	{dmthin.Snapshot{Origin: "7:0", COW: "7:1", Persistent: true, ChunkSectors: 8}, "0 128 snapshot 7:0 7:1 P 8"},
	{dmthin.Snapshot{Origin: "7:0", COW: "7:1", ChunkSectors: 16}, "0 128 snapshot 7:0 7:1 N 16"},
	{dmthin.ThinPool{Metadata: "7:0", Data: "7:1", BlockSectors: 128, LowWater: 32768}, "0 128 thin-pool 7:0 7:1 128 32768"},
	{dmthin.ThinPool{Metadata: "7:0", Data: "7:1", BlockSectors: 128, Features: dmthin.PoolFeatures{SkipZeroing: true, ErrorIfNoSpace: true}},
		"0 128 thin-pool 7:0 7:1 128 0 2 skip_block_zeroing error_if_no_space"},
	{dmthin.Thin{Pool: "253:0", ID: 7}, "0 128 thin 253:0 7"},
	{dmthin.Thin{Pool: "253:0", ID: 7, External: "7:3"}, "0 128 thin 253:0 7 7:3"},
}

func TestTargetLines(t *testing.T) {
	for _, c := range targetLines {
		line := dmthin.LineOf(0, 128, c.target)
		if line.String() != c.line {
			t.Errorf("LineOf(%+v) = %q; want %q", c.target, line, c.line)
		}
		parsed, err := dmthin.ParseLine(c.line)
		if err != nil || parsed != line {
			t.Errorf("ParseLine(%q) = %+v, %v; want %+v", c.line, parsed, err, line)
		}
		back, err := dmthin.ParseTarget(parsed)
		if diff := cmp.Diff(c.target, back); err != nil || diff != "" {
			t.Errorf("ParseTarget(%q): %v, difference (-want +got):\n%s", c.line, err, diff)
		}
	}
}

func TestBadLines(t *testing.T) {
	for _, line := range []string{
		"0 8 linear", "0 8 linear 7:0", "0 8 linear 7:0 -1", "0 8 linear 7:0 1 2", "0 8 error now", "0 8 flakey 7:0 0 1 1 2 drop_writes",
		"0 8 snapshot 7:0 7:1 X 8", "0 8 thin 253:0", "0 8 thin 253:0 16777216", "0 8 thin-pool 7:0 7:1 128 0 1 fast", "0 8 striped 2 8 7:0 0 7:1 0",
	} {
		l, err := dmthin.ParseLine(line)
		if err != nil {
			t.Fatal(err)
		}
		want := unix.EINVAL
		if l.Target == "striped" {
			want = unix.EOPNOTSUPP
		}
		if got, err := dmthin.ParseTarget(l); !errors.Is(err, want) {
			t.Errorf("ParseTarget(%q) = %+v, %v; want %v", line, got, err, want)
		}
	}
}

func TestTables(t *testing.T) {
	good := "# two pieces\n0 8 linear 7:0 0\n\n8 24 zero\n"
	table, err := dmthin.ParseTable(strings.NewReader(good))
	if err != nil || len(table) != 2 || table.Length() != 32 || table.String() != "0 8 linear 7:0 0; 8 24 zero" {
		t.Errorf("ParseTable(%q) = %q, %v; want two lines of 32 sectors", good, table, err)
	}
	for _, bad := range []string{"", "1 8 zero", "0 8 zero\n9 8 zero", "0 0 zero", "0 x zero", "0 8", "0 18446744073709551615 zero\n18446744073709551615 1 zero"} {
		if table, err := dmthin.ParseTable(strings.NewReader(bad)); !errors.Is(err, unix.EINVAL) {
			t.Errorf("ParseTable(%q) = %v, %v; want EINVAL", bad, table, err)
		}
	}
}

// Texts of kernels 3.10, 4.4 and 6.1.
func TestPoolStatus(t *testing.T) {
	for _, c := range []struct {
		text string
		want dmthin.PoolStatus
	}{
		{"3 17/512 9/1600 - rw discard_passdown queue_if_no_space - 1024", dmthin.PoolStatus{Mode: "rw", Transaction: 3,
			Metadata: dmthin.Usage{Used: 17, Total: 512}, Data: dmthin.Usage{Used: 9, Total: 1600}, Discard: "discard_passdown", MetaLowWater: 1024}},
		{"0 17/512 1600/1600 5 out_of_data_space no_discard_passdown error_if_no_space needs_check", dmthin.PoolStatus{Mode: "out_of_data_space",
			Metadata: dmthin.Usage{Used: 17, Total: 512}, Data: dmthin.Usage{Used: 1600, Total: 1600}, MetadataRoot: 5,
			Discard: "no_discard_passdown", ErrorIfNoSpace: true, NeedsCheck: true}},
		{"0 1/2 3/4 - ro ignore_discard queue_if_no_space", dmthin.PoolStatus{Mode: "ro",
			Metadata: dmthin.Usage{Used: 1, Total: 2}, Data: dmthin.Usage{Used: 3, Total: 4}, Discard: "ignore_discard"}},
		{"Fail", dmthin.PoolStatus{Mode: dmthin.PoolFailed}},
	} {
		got, err := dmthin.ParsePoolStatus(c.text)
		if diff := cmp.Diff(c.want, got); err != nil || diff != "" {
			t.Errorf("ParsePoolStatus(%q): %v, difference (-want +got):\n%s", c.text, err, diff)
		}
	}
	for _, bad := range []string{"", "1", "1 2 3", "0 1/2 3/4 x rw a queue_if_no_space", "0 1/2 3/4 - rw a maybe"} {
		if got, err := dmthin.ParsePoolStatus(bad); !errors.Is(err, unix.EINVAL) {
			t.Errorf("ParsePoolStatus(%q) = %+v, %v; want EINVAL", bad, got, err)
		}
	}
}

func TestOtherStatus(t *testing.T) {
	for text, want := range map[string]dmthin.ThinStatus{
		"1024 16383": {Mapped: 1024, Highest: 16383}, "0 -": {}, "Fail": {Failed: true},
	} {
		if got, err := dmthin.ParseThinStatus(text); err != nil || got != want {
			t.Errorf("ParseThinStatus(%q) = %+v, %v; want %+v", text, got, err, want)
		}
	}
	for text, want := range map[string]dmthin.SnapshotStatus{
		"24/2048 16": {COW: dmthin.Usage{Used: 24, Total: 2048}, Metadata: 16}, "Invalid": {Invalid: "Invalid"}, "Merge failed": {Invalid: "Merge failed"},
	} {
		if got, err := dmthin.ParseSnapshotStatus(text); err != nil || got != want {
			t.Errorf("ParseSnapshotStatus(%q) = %+v, %v; want %+v", text, got, err, want)
		}
	}
}

func TestSplit(t *testing.T) {
	const gib = 1 << 30 / dmthin.SectorSize
	meta, data, free, err := dmthin.Split(100 * gib)
	if err != nil || meta.Length != gib || data.Length != 95*gib || free.Length != 4*gib || data.Start != meta.Length || free.Start != data.Start+data.Length {
		t.Errorf("Split(100 GiB) = %v %v %v, %v; want 1, 95 and 4 GiB in order", meta, data, free, err)
	}
	if _, _, _, err := dmthin.Split(1000); !errors.Is(err, unix.ENOSPC) {
		t.Errorf("Split(1000) = %v; want ENOSPC", err)
	}
}

func TestAutoextend(t *testing.T) {
	a := &dmthin.Autoextend{Threshold: 80, Percent: 20}
	for _, c := range []struct {
		used, total, blocks uint64
		grow                bool
	}{{0, 100, 100, false}, {80, 100, 100, false}, {81, 100, 120, true}, {100, 100, 120, true}, {2, 2, 3, true}, {0, 0, 0, false}} {
		blocks, grow := a.Wants(dmthin.Usage{Used: c.used, Total: c.total})
		if blocks != c.blocks || grow != c.grow {
			t.Errorf("Wants(%d/%d) = %d, %v; want %d, %v", c.used, c.total, blocks, grow, c.blocks, c.grow)
		}
	}
	if got := a.LowWater(100); got != 20 {
		t.Errorf("LowWater(100) = %d; want 20", got)
	}
	if err := (&dmthin.Autoextend{Threshold: 100, Percent: 20}).Validate(); !errors.Is(err, unix.EINVAL) {
		t.Errorf("Validate of 100 %% = %v; want EINVAL", err)
	}
}

func TestMetadataSize(t *testing.T) {
	if got := dmthin.MetadataSize(100<<30, 128); got != 100<<30/65536*48 {
		t.Errorf("MetadataSize(100 GiB) = %d; want 75 MiB", got)
	}
	if got := dmthin.MetadataSize(1<<20, 128); got != 2<<20 {
		t.Errorf("MetadataSize(1 MiB) = %d; want 2 MiB", got)
	}
}

func TestExplain(t *testing.T) {
	for _, c := range []struct {
		err  error
		want string
	}{
		{&dmthin.Error{Verb: "open", Err: unix.ENOENT}, "no device mapper"},
		{&dmthin.Error{Verb: "load", Detail: "0 8 thin 253:0 7", Err: unix.ENODATA}, "no thin device of that id"},
		{&dmthin.Error{Verb: "message", Detail: "create_snap 2 1", Err: unix.ENODATA}, "no origin"},
		{&dmthin.Error{Verb: "remove", Err: unix.EBUSY}, "it is mounted"},
		{unix.ENOSPC, "no room"},
	} {
		causes := dmthin.Explain(c.err)
		if len(causes) == 0 || !strings.Contains(causes[0].Why, c.want) || causes[0].Try == "" {
			t.Errorf("Explain(%v) = %+v; want first one about %q", c.err, causes, c.want)
		}
	}
	if got := dmthin.Explain(errors.New("no errno")); len(got) != 0 {
		t.Errorf("Explain of an error without errno = %v; want none", got)
	}
}

// Without a device mapper Open says so, and leaves nothing open.
func TestOpenElsewhere(t *testing.T) {
	_, err := dmthin.Open(t.TempDir(), t.TempDir())
	if !errors.Is(err, unix.ENOENT) || len(dmthin.Explain(err)) == 0 {
		t.Errorf("Open = %v; want ENOENT with an explanation", err)
	}
}
