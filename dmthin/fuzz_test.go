package dmthin

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// Text: whatever is parsed is written back as it was meant.
func FuzzParseLine(f *testing.F) {
	for _, s := range []string{"0 8 linear 7:0 0", "0 8 error", "8 128 thin-pool 7:0 7:1 128 0 2 skip_block_zeroing read_only",
		"0 8 thin 253:0 7 7:1", "0 8 flakey 7:0 0 1 2 1 drop_writes", "0 8 snapshot 7:0 7:1 PO 8", "x", "0 8 thin-pool 7:0"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		l, err := ParseLine(s)
		if err != nil {
			return
		}
		target, err := ParseTarget(l)
		if err != nil {
			return
		}
		again, err := ParseTarget(LineOf(l.Start, l.Length, target))
		if diff := cmp.Diff(target, again); err != nil || diff != "" {
			t.Errorf("%q written and parsed again: %v\n%s", s, err, diff)
		}
	})
}

func FuzzParseTable(f *testing.F) {
	f.Add("0 8 linear 7:0 0\n8 8 zero\n")
	f.Add("# comment\n\n0 18446744073709551615 zero\n")
	f.Fuzz(func(t *testing.T, s string) {
		table, err := ParseTable(strings.NewReader(s))
		if err == nil && table.Validate() != nil {
			t.Errorf("ParseTable(%q) = %v, which is invalid", s, table)
		}
	})
}

func FuzzParseStatus(f *testing.F) {
	for _, s := range []string{"3 17/512 9/1600 - rw discard_passdown queue_if_no_space - 1024", "0 1/2 3/4 5 ro no_discard_passdown error_if_no_space needs_check",
		"Fail", "Error", "1024 16383", "0 -", "24/2048 16", "Invalid", "7:0", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if p, err := ParsePoolStatus(s); err == nil && p.Mode == "" {
			t.Errorf("ParsePoolStatus(%q) = %+v; want a mode", s, p)
		}
		_, _ = ParseThinStatus(s)
		_, _ = ParseSnapshotStatus(s)
		if d, err := ParseDev(s); err == nil {
			if again, err := ParseDev(d.String()); err != nil || again != d {
				t.Errorf("ParseDev(%q) = %v, and that again %v, %v", s, d, again, err)
			}
		}
	})
}

// Bytes: no payload may make a parser read outside of it or run for ever.
func FuzzParsePayload(f *testing.F) {
	table, err := encodeTable(Table{{0, 8, "linear", "7:0 0"}, {8, 8, "error", ""}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(table, uint32(2))
	f.Add(make([]byte, 64), uint32(1))
	f.Add([]byte{}, uint32(0))
	f.Add(namePayload("cutaway-a", "uuid-a"), uint32(1))
	f.Fuzz(func(t *testing.T, payload []byte, count uint32) {
		if got, err := parseTable(payload, count); err == nil && len(got) != int(count) {
			t.Errorf("parseTable = %d lines; want %d", len(got), count)
		}
		_, _ = parseNames(payload)
		_, _ = parseVersions(payload)
		if devs, err := parseDeps(payload); err == nil && len(devs)*8 > len(payload) {
			t.Errorf("%d devices out of %d bytes", len(devs), len(payload))
		}
	})
}

// namePayload is one record of DM_LIST_DEVICES as Linux 5.13 and later write it.
func namePayload(name, uuid string) []byte {
	b := make([]byte, aligned(nameHeader+len(name)+1))
	order.PutUint64(b, 253<<8)
	copy(b[nameHeader:], name)
	b = order.AppendUint32(b, 7)
	b = order.AppendUint32(b, unix.DM_NAME_LIST_FLAG_HAS_UUID)
	return append(append(b, uuid...), 0)
}

func TestParseNames(t *testing.T) {
	got, err := parseNames(namePayload("cutaway-a", "uuid-a"))
	want := []Name{{Name: "cutaway-a", UUID: "uuid-a", Dev: 253 << 8, Event: 7}}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("parseNames: %v, difference (-want +got):\n%s", err, diff)
	}
	if got, err := parseNames(nil); err != nil || got != nil {
		t.Errorf("parseNames of nothing = %v, %v; want none", got, err)
	}
}

// A metadata device of two thin devices that share a block, made by hand.
func metadataImage() []byte {
	image := make([]byte, 5*metadataBlock)
	disk.PutUint64(image[32:], superblockMagic)
	disk.PutUint64(image[320:], 1)
	node := func(block int, flags uint32, entries ...entry) {
		b := image[block*metadataBlock:]
		disk.PutUint32(b[4:], flags)
		disk.PutUint64(b[8:], uint64(block))
		disk.PutUint32(b[16:], uint32(len(entries)))
		disk.PutUint32(b[20:], 252)
		disk.PutUint32(b[24:], 8)
		for i, e := range entries {
			disk.PutUint64(b[nodeHeader+8*i:], e.key)
			disk.PutUint64(b[nodeHeader+8*252+8*i:], e.value)
		}
	}
	node(1, nodeLeaf, entry{1, 2}, entry{2, 3})
	node(2, nodeLeaf, entry{0, 10 << 24}, entry{5, 11<<24 | 3})
	node(3, 1, entry{0, 4})
	node(4, nodeLeaf, entry{0, 10 << 24})
	return image
}

func TestReadMappings(t *testing.T) {
	got, err := ReadMappings(bytes.NewReader(metadataImage()), 0)
	want := Mappings{1: {{0, 10}, {5, 11}}, 2: {{0, 10}}}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("ReadMappings: %v, difference (-want +got):\n%s", err, diff)
	}
	sharing := map[uint32]Sharing{1: {2, 1}, 2: {1, 0}}
	if diff := cmp.Diff(sharing, got.Sharing()); diff != "" {
		t.Errorf("Sharing (-want +got):\n%s", diff)
	}
}

func FuzzReadMappings(f *testing.F) {
	f.Add(metadataImage())
	f.Add(make([]byte, metadataBlock))
	loop := metadataImage()
	disk.PutUint64(loop[3*metadataBlock+nodeHeader+8*252:], 3) // its own child
	f.Add(loop)
	f.Fuzz(func(t *testing.T, image []byte) {
		_, _ = ReadMappings(bytes.NewReader(image), 0)
	})
}
