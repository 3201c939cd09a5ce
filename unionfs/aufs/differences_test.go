package aufs

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write docs/aufs-differences.md anew")

// TestDifferencesPage keeps the page for readers equal to the table in code.
func TestDifferencesPage(t *testing.T) {
	const path = "../../docs/aufs-differences.md"
	want := differencesPage(len(loadRecords(t)))
	if *update {
		if err := os.MkdirAll("../../docs", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil || string(got) != want {
		t.Errorf("%s (%v) differs from Differences in the code; run go test ./unionfs/aufs -run DifferencesPage -update", path, err)
	}
}

func differencesPage(records int) string {
	var b strings.Builder
	differing := 0
	for _, d := range Differences {
		differing += len(d.Records)
	}
	fmt.Fprintf(&b, `# Where cutaway's user-space AUFS differs from the kernel module

The module's behaviour was recorded test by test (%d tests on tmpfs branches). The user-space one is held against every record:
%d pass as they are; the %d named below pass with the expectations changed as the second column says. Rows without a test tell of behaviour that
is documented or was observed, but not recorded.

| The module | cutaway's user-space AUFS | Why | Recorded tests |
| --- | --- | --- | --- |
`, records, records-differing, differing)
	for _, d := range Differences {
		names := make([]string, len(d.Records))
		for i, r := range d.Records {
			names[i] = "`" + r + "`"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", d.Behaviour, d.Instead, d.Why, strings.Join(names, " "))
	}
	return b.String()
}
