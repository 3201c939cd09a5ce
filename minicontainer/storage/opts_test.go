package storage

import "testing"

func TestParseOptions(t *testing.T) {
	o, err := ParseOptions([]string{"zfs.fsname=tank/c", "dm.basesize=2G", "dm.fs=xfs"})
	if err != nil || o.Dataset != "tank/c" || o.DeviceMapper.BaseSize != 2<<30 || o.DeviceMapper.FileSystem != "xfs" {
		t.Errorf("ParseOptions = %+v, %v", o, err)
	}
	for _, bad := range []string{"", "x=y", "zfs.fsname", "zfs.fsname=", "dm.basesize=big", "dm.basesize=0", "dm.basesize=1q", "dm.basesize=99999999999t", "dm.basesize=-1g", "dm.basesize=b"} {
		if o, err := ParseOptions([]string{bad}); err == nil {
			t.Errorf("ParseOptions(%q) = %+v; want an error", bad, o)
		}
	}
}

func FuzzParseSize(f *testing.F) {
	f.Add("10G")
	f.Add("1kb")
	f.Fuzz(func(t *testing.T, text string) {
		if n, err := parseSize(text); err == nil && n == 0 {
			t.Errorf("parseSize(%q) = 0", text)
		}
	})
}
