package aufs

import (
	"strings"
	"testing"

	"cutaway/unionfs"
)

func FuzzParseLayers(f *testing.F) {
	f.Add("a\nb\n")
	f.Add("")
	f.Add("../x\n")
	f.Add("a\r\n\n b ")
	f.Fuzz(func(t *testing.T, text string) {
		ids, err := parseLayers(strings.NewReader(text))
		for _, id := range ids {
			if e := unionfs.CheckID(id); err == nil && e != nil {
				t.Errorf("parseLayers(%q) has %q: %v", text, id, e)
			}
		}
	})
}
