package size

import "testing"

func TestParse(t *testing.T) {
	for text, want := range map[string]int64{"0": 0, "65536": 65536, "64k": 65536, "64KiB": 65536, "1.5g": 3 << 29, "1mb": 1 << 20, "12b": 12} {
		if got, err := Parse(text); err != nil || got != want {
			t.Errorf("Parse(%q) = %d, %v; want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "k", "-1", "1x", "1e30g", "nan", "inf"} {
		if got, err := Parse(text); err == nil {
			t.Errorf("Parse(%q) = %d; want an error", text, got)
		}
	}
}
