package main

import (
	"strings"
	"testing"

	"cutaway/internal/evidence"
	"cutaway/internal/needs"
	"cutaway/labs"
	"cutaway/labs/walk"
)

// guestLabs need what most kernels of test machines lack: the device mapper, and
// quota by project.
const guestLabs = "19-21"

// What this machine's kernel cannot do is taken to a VM without being asked. Without
// QEMU the reason names both.
func TestLabsOfAGuestGoThere(t *testing.T) {
	needs.Root(t)
	picked, err := labs.Select([]string{guestLabs})
	if err != nil {
		t.Fatal(err)
	}
	if whyNotHere(picked[0], probeNeeds(t.Context(), picked[0])) == "" {
		t.Skipf("this machine can perform lab %s itself", picked[0].ID)
	}
	s := newSession(t)
	s.env = append(s.env, "PATH=/nonexistent")
	got := s.run("lab", picked[0].ID, "--json")
	if got.code != exitUntested || !strings.Contains(got.stdout, "virtual machine") {
		t.Errorf("code %d, %s%s; want 3 and a word of the virtual machine", got.code, got.stdout, got.stderr)
	}
}

// performInGuest performs the labs in Go, by hand, and with each act left out, all in
// one machine: booting it takes longer than a lab.
const performInGuest = `
for way in "" --by-hand; do
	"$0" lab "$1" --json --on host $way || echo "$way: exit code $?" >&2
done
shift
for step in "$@"; do
	echo "omit $step"
	"$0" lab ${step%%/*} --json --on host --omit ${step##*/}
done
exit 0
`

func TestLabsOfAGuest(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: minutes in a virtual machine; make test-guest")
	}
	args := []string{"vm", "run", "--", "sh", "-c", performInGuest, "/init", guestLabs}
	picked, err := labs.Select([]string{guestLabs})
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range picked {
		for _, s := range l.Steps {
			if s.Do != nil {
				args = append(args, l.ID+"/"+s.Name)
			}
		}
	}
	got := withVM(t).run(args...)
	performed, omitted, _ := strings.Cut(got.stdout, "omit ")
	complain(t, events(t, performed))
	if got.code != exitOK || strings.Contains(got.stderr, "exit code") {
		t.Errorf("exit code %d, stderr %s; want none", got.code, got.stderr)
	}
	checkWaysOfGuest(t, events(t, performed))
	for _, part := range strings.Split(omitted, "omit ") {
		step, lines, _ := strings.Cut(part, "\n")
		_, name, _ := strings.Cut(step, "/")
		checkOmitted(t, name, events(t, lines))
	}
}

// checkWaysOfGuest wants every claim of both ways to hold: what is untested in the
// guest is tested nowhere.
func checkWaysOfGuest(t *testing.T, all []walk.Event) {
	t.Helper()
	held := map[string]int{}
	for _, e := range all {
		if x, ok := e.(walk.ExpectEvent); ok && x.Outcome == evidence.Holds {
			held[x.Lab+"/"+x.Step+"/"+x.Claim]++
		}
		if l, ok := e.(walk.LabEvent); ok && l.State == walk.Pass && len(l.Residue) > 0 {
			t.Errorf("lab %s leaves %v", l.Lab, l.Residue)
		}
	}
	picked, _ := labs.Select([]string{guestLabs})
	for _, l := range picked {
		for _, s := range l.Steps {
			for _, x := range s.Expect {
				if got := held[l.ID+"/"+s.Name+"/"+x.Claim]; got != 2 && !s.Extra {
					t.Errorf("lab %s step %s: %q held %d times; want in Go and by hand", l.ID, s.Name, x.Claim, got)
				}
			}
		}
	}
}
