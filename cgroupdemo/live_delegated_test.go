package cgroupdemo

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"cutaway/internal/inside"
)

const nobody = 65534

func init() {
	inside.Register("test.ordinary-user", func(context.Context, json.RawMessage) (any, error) { return nil, asOrdinaryUser() })
}

// asOrdinaryUser does what an ordinary user can do in a delegated subtree.
func asOrdinaryUser() error {
	hs, err := Read("/proc")
	if err != nil {
		return err
	}
	g, err := Create(hs, Config{Name: "mine", Controllers: []Controller{Core}})
	if err != nil {
		return err
	}
	ctx := context.Background()
	return errors.Join(g.Attach(os.Getpid()), g.Release(os.Getpid()), g.Delete(ctx))
}

// TestLiveDelegation gives a v2 group away as systemd's Delegate=yes does: the
// folder and the three files through which processes and controllers move.
func TestLiveDelegation(t *testing.T) {
	g := live(t, "delegated", Core)
	h, err := inside.Start(t.Context(), inside.Config{
		Attr: &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	if err := g.Attach(h.Pid()); err != nil {
		t.Fatal(err)
	}
	err = h.Call(t.Context(), "test.ordinary-user", nil, nil)
	if !errors.Is(err, unix.EACCES) || !strings.Contains(err.Error(), "-p Delegate=yes") {
		t.Errorf("without delegation = %v; want EACCES and the way out", err)
	}
	t.Logf("without delegation: %v", err)
	for _, file := range []string{"", "cgroup.procs", "cgroup.threads", "cgroup.subtree_control"} {
		if err := os.Chown(filepath.Join(g.Places[0].Dir, file), nobody, nobody); err != nil {
			t.Fatal(err)
		}
	}
	if err := h.Call(t.Context(), "test.ordinary-user", nil, nil); err != nil {
		t.Errorf("with delegation = %v", err)
	}
}
