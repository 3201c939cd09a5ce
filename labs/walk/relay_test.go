package walk

import (
	"bufio"
	"encoding/json"
	"io"
	"strings"
	"testing"
)

// A relay finds its request behind the empty lines that it may get, and without.
func TestFirstByte(t *testing.T) {
	for _, input := range []string{`{"lab":"90"}`, "\n\n" + `{"lab":"90"}` + "\n"} {
		in := strings.NewReader(input)
		first, err := firstByte(in)
		if err != nil {
			t.Fatal(err)
		}
		if got := in.Len(); got != len(input)-1 {
			t.Errorf("%q: %d bytes are left; want all but the first", input, got)
		}
		_, lab, err := readRequest(json.NewDecoder(bufio.NewReader(io.MultiReader(first, in))), findTestLab)
		if err != nil || lab.ID != "90" {
			t.Errorf("%q: lab %q, %v; want 90", input, lab.ID, err)
		}
	}
	if _, err := firstByte(strings.NewReader("")); err == nil {
		t.Error("no input at all is no error")
	}
}
