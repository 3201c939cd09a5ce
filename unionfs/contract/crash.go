package contract

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"cutaway/unionfs"
	"cutaway/unionfs/layertar"
)

const (
	victimJob  = "CUTAWAY_CONTRACT_VICTIM" // the home to work in
	victimWork = "victim"                  // the layer that comes and goes
)

// crash kills a process with SIGKILL in the middle of making, filling and
// removing a layer, at many moments. Whoever opens the store next must find
// either the whole layer or none, the other layers untouched, and must be able
// to remove what is there.
func (c Case) crash(t *testing.T) {
	rounds := 40
	if c.Slow {
		rounds = 6
	}
	d, home := c.open(t)
	create(t, d, "bottom", "")
	if _, err := d.Apply("bottom", bytes.NewReader(crashTar(20)), layertar.Limits{}); err != nil {
		t.Fatal(err)
	}
	want := c.scanLayer(t, d, "bottom", look{})
	for i := range rounds {
		c.killAt(t, home, time.Duration(i)*700*time.Microsecond)
		after := c.reopen(t, home)
		c.lookAround(t, after, i)
		same(t, "bottom after a kill", c.scanLayer(t, after, "bottom", look{}), want)
		if err := after.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	}
}

// lookAround checks that the killed process's layer is whole or gone.
func (c Case) lookAround(t *testing.T, d unionfs.Driver, round int) {
	t.Helper()
	ids, err := d.List()
	if err != nil {
		t.Fatalf("List after kill %d: %v", round, err)
	}
	for _, id := range ids {
		if id != "bottom" && id != victimWork {
			t.Errorf("List after kill %d has %q; want bottom and perhaps %s", round, id, victimWork)
		}
	}
	if d.Exists(victimWork) {
		with(t, d, victimWork, func(root string) {
			if _, err := os.ReadDir(root); err != nil {
				t.Errorf("tree after kill %d: %v", round, err)
			}
		})
	}
	if err := d.Remove(victimWork); err != nil {
		t.Fatalf("Remove after kill %d: %v", round, err)
	}
	create(t, d, victimWork, "bottom") // its name must be free again
	if err := d.Remove(victimWork); err != nil {
		t.Fatalf("Remove after kill %d: %v", round, err)
	}
}

// killAt starts the victim, waits until it is at work, waits for delay more, and
// kills it.
func (c Case) killAt(t *testing.T, home string, delay time.Duration) {
	t.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cmd := exec.Command("/proc/self/exe", "-test.run=^$")
	cmd.Env = append(os.Environ(), victimJob+"="+home, inside+"=1")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: unix.SIGKILL}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := out.Read(make([]byte, 1)); err != nil {
		t.Fatalf("victim did not start: %v: %s", err, stderr.String())
	}
	time.Sleep(delay)
	cmd.Process.Kill()
	cmd.Wait()
	if stderr.Len() > 0 {
		t.Errorf("victim failed before it was killed: %s", stderr.String())
	}
}

// victim makes, fills and removes one layer until it is killed.
func victim(open OpenFunc) {
	d, err := open(os.Getenv(victimJob))
	tar := crashTar(200)
	os.Stdout.WriteString(".")
	for err == nil {
		if err = d.Create(victimWork, "bottom", unionfs.CreateOptions{}); errors.Is(err, fs.ErrExist) {
			err = nil
		}
		if err == nil {
			_, err = d.Apply(victimWork, bytes.NewReader(tar), layertar.Limits{})
		}
		if err == nil {
			err = d.Remove(victimWork)
		}
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
